// appsup apply: makes resources as manifests say.
#include <filesystem>
#include <memory>
#include <optional>

#include "common/status.h"
#include "entry/cli/apply_mask.h"
#include "entry/cli/blob_push.h"
#include "entry/cli/commands.h"
#include "entry/cli/manifest_files.h"
#include "entry/cli/names.h"
#include "entry/cli/operation_wait.h"
#include "entry/cli/text_diff.h"
#include "entry/cli/yaml_writer.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

using google::protobuf::Message;

struct ApplyOptions {
  std::vector<std::string> paths;
  bool recursive = false;
  bool diff = false;
  bool dry_run = false;
};

template <class Stub, class Request, class Response>
using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);

// An error of the entry with the places of the manifest in the stead of its fields.
absl::Status WithPlaces(const absl::Status& status, const Manifest& manifest) {
  if (status.ok()) return status;
  std::vector<FieldViolation> violations;
  for (const FieldViolation& violation : GetFieldViolations(status)) {
    violations.push_back({manifest.PlaceOf(violation.field).Text(),
                          fmt::format("{}: {}", violation.field, violation.description)});
  }
  if (violations.empty()) return Annotate(status, manifest.place.Text());
  return MakeError(status.code(), ErrorReason(status),
                   fmt::format("{} {} is refused", manifest.kind, IdOf(manifest.name())), {},
                   std::move(violations));
}

// Packs and pushes what `spec.artifact.file` names; with --dry-run it only learns the digest.
absl::Status ResolveArtifact(Session& session, Manifest& manifest, bool push) {
  if (manifest.artifact_file.empty()) return absl::OkStatus();
  const std::filesystem::path folder = std::filesystem::path(manifest.place.file).parent_path();
  absl::StatusOr<PackedArtifact> artifact = PackedArtifact::Of(folder / manifest.artifact_file);
  const Place& place = manifest.PlaceOf("app.spec.artifact.file");
  if (!artifact.ok()) return Annotate(artifact.status(), place.Text());
  auto& app = static_cast<v1::App&>(*manifest.resource);
  app.mutable_spec()->mutable_artifact()->set_blob(artifact->blob_name());
  if (!push) return absl::OkStatus();
  return Annotate(PushBlob(session, *artifact).status(), place.Text());
}

v1::UpdateAppRequest RequestFor(Session& session, const Manifest& manifest, bool validate_only) {
  v1::UpdateAppRequest request;
  *request.mutable_app() = static_cast<const v1::App&>(*manifest.resource);
  *request.mutable_update_mask() = ApplyMask(manifest);
  request.set_allow_missing(true);
  request.set_validate_only(validate_only);
  if (!validate_only) request.set_request_id(session.NewRequestId());
  return request;
}

// What differs between the entry's resource and what it will be; `current` is nullptr if there is
// none yet.
void ShowDiff(Session& session, const Manifest& manifest, const Message* current) {
  const YamlOptions options = {session.settings.project, /*only_wanted=*/true};
  const std::unique_ptr<Message> after(current == nullptr ? manifest.resource->New()
                                                          : current->New());
  after->CopyFrom(current == nullptr ? *manifest.resource : *current);
  if (current != nullptr) SetMaskedFields(ApplyMask(manifest), *manifest.resource, after.get());
  const std::string diff = UnifiedDiff(current == nullptr ? "/dev/null" : manifest.name(),
                                       current == nullptr ? "" : ToYaml(*current, options),
                                       manifest.place.Text(), ToYaml(*after, options));
  session.out << (diff.empty() ? fmt::format("{}: no difference\n", manifest.name()) : diff)
              << std::flush;
}

template <class Resource, class Stub, class Get>
absl::StatusOr<std::optional<Resource>> Find(Session& session, Method<Stub, Get, Resource> get,
                                             const std::string& name) {
  Get request;
  request.set_name(name);
  ASSIGN_OR_RETURN(Client * client, session.client());
  absl::StatusOr<Resource> found = client->Call(get, request);
  if (absl::IsNotFound(found.status())) return std::optional<Resource>();
  if (!found.ok()) return found.status();
  return std::optional<Resource>(*std::move(found));
}

absl::Status ApplyApp(Session& session, const ApplyOptions& options, const Manifest& manifest,
                      std::vector<v1::Operation>* operations) {
  ASSIGN_OR_RETURN(Client * client, session.client());
  if (options.diff) {
    ASSIGN_OR_RETURN(const std::optional<v1::App> current,
                     Find<v1::App>(session, &AppStub::GetApp, manifest.name()));
    ShowDiff(session, manifest, current.has_value() ? &*current : nullptr);
  }
  ASSIGN_OR_RETURN(
      v1::Operation operation,
      client->Call(&AppStub::UpdateApp, RequestFor(session, manifest, options.dry_run)));
  if (!options.dry_run) operations->push_back(std::move(operation));
  return absl::OkStatus();
}

// Environments and projects, whose methods are alike. `fill` sets id and resource of a creation.
template <class Resource, class Stub, class Get, class Update, class Create, class Fill>
absl::Status ApplyPlain(Session& session, const ApplyOptions& options, const Manifest& manifest,
                        Method<Stub, Get, Resource> get, Method<Stub, Update, Resource> update,
                        Method<Stub, Create, Resource> create, Fill fill) {
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(const std::optional<Resource> current,
                   Find<Resource>(session, get, manifest.name()));
  if (options.diff) ShowDiff(session, manifest, current.has_value() ? &*current : nullptr);
  if (options.dry_run) return absl::OkStatus();
  const auto& wanted = static_cast<const Resource&>(*manifest.resource);
  Update change;
  Create creation;
  fill(wanted, &change, &creation);
  change.set_request_id(session.NewRequestId());
  creation.set_request_id(session.NewRequestId());
  *change.mutable_update_mask() = ApplyMask(manifest);
  RETURN_IF_ERROR(current.has_value() ? client->Call(update, change).status()
                                      : client->Call(create, creation).status());
  session.Say(fmt::format("{} {}: {}", manifest.kind, IdOf(manifest.name()),
                          current.has_value() ? "updated" : "created"));
  return absl::OkStatus();
}

absl::Status ApplyEnvironment(Session& session, const ApplyOptions& options,
                              const Manifest& manifest) {
  return ApplyPlain<v1::Environment>(
      session, options, manifest, &EnvironmentStub::GetEnvironment,
      &EnvironmentStub::UpdateEnvironment, &EnvironmentStub::CreateEnvironment,
      [](const v1::Environment& wanted, v1::UpdateEnvironmentRequest* change,
         v1::CreateEnvironmentRequest* creation) {
        *change->mutable_environment() = wanted;
        *creation->mutable_environment() = wanted;
        creation->set_environment_id(IdOf(wanted.name()));
      });
}

absl::Status ApplyProject(Session& session, const ApplyOptions& options, const Manifest& manifest) {
  return ApplyPlain<v1::Project>(session, options, manifest, &ProjectStub::GetProject,
                                 &ProjectStub::UpdateProject, &ProjectStub::CreateProject,
                                 [](const v1::Project& wanted, v1::UpdateProjectRequest* change,
                                    v1::CreateProjectRequest* creation) {
                                   *change->mutable_project() = wanted;
                                   *creation->mutable_project() = wanted;
                                   creation->set_project_id(IdOf(wanted.name()));
                                 });
}

// Nodes come into being by enrolment: one that is missing is an error.
absl::Status ApplyNode(Session& session, const ApplyOptions& options, const Manifest& manifest) {
  ASSIGN_OR_RETURN(Client * client, session.client());
  v1::GetNodeRequest get;
  get.set_name(manifest.name());
  ASSIGN_OR_RETURN(const v1::Node current, client->Call(&NodeStub::GetNode, get));
  if (options.diff) ShowDiff(session, manifest, &current);
  if (options.dry_run) return absl::OkStatus();
  v1::UpdateNodeRequest request;
  *request.mutable_node() = static_cast<const v1::Node&>(*manifest.resource);
  *request.mutable_update_mask() = ApplyMask(manifest);
  request.set_request_id(session.NewRequestId());
  RETURN_IF_ERROR(client->Call(&NodeStub::UpdateNode, request).status());
  session.Say(fmt::format("Node {}: updated", IdOf(manifest.name())));
  return absl::OkStatus();
}

absl::Status ApplyOne(Session& session, const ApplyOptions& options, const Manifest& manifest,
                      std::vector<v1::Operation>* operations) {
  if (manifest.kind == "App") return ApplyApp(session, options, manifest, operations);
  if (manifest.kind == "Environment") return ApplyEnvironment(session, options, manifest);
  if (manifest.kind == "Project") return ApplyProject(session, options, manifest);
  return ApplyNode(session, options, manifest);
}

// So that nothing is changed if the entry refuses one of several. Only where all are apps: else one
// of them may need what another document is about to create.
Outcome CheckAll(Session& session, const std::vector<Manifest>& manifests) {
  ASSIGN_OR_RETURN(Client * client, session.client());
  ExitCode code = ExitCode::kOk;
  for (const Manifest& manifest : manifests) {
    if (manifest.kind != "App") return ExitCode::kOk;
  }
  for (const Manifest& manifest : manifests) {
    const absl::Status status =
        client->Call(&AppStub::UpdateApp, RequestFor(session, manifest, true)).status();
    if (status.ok()) continue;
    session.err << ErrorText(WithPlaces(status, manifest));
    code = ExitCodeOf(status);
  }
  return code;
}

Outcome Apply(Session& session, const ApplyOptions& options) {
  ASSIGN_OR_RETURN(std::vector<Manifest> manifests,
                   LoadManifests(session, options.paths, options.recursive));
  for (Manifest& manifest : manifests) {
    RETURN_IF_ERROR(ResolveArtifact(session, manifest, !options.dry_run));
  }
  if (manifests.size() > 1) {
    ASSIGN_OR_RETURN(const ExitCode checked, CheckAll(session, manifests));
    if (checked != ExitCode::kOk) return checked;
  }
  std::vector<v1::Operation> operations;
  ExitCode refused = ExitCode::kOk;
  for (const Manifest& manifest : manifests) {
    const absl::Status status = ApplyOne(session, options, manifest, &operations);
    if (status.ok()) continue;
    session.err << ErrorText(WithPlaces(status, manifest));
    refused = ExitCodeOf(status);
  }
  if (options.dry_run && !options.diff && refused == ExitCode::kOk) {
    session.Say(fmt::format(
        "{} checked; nothing was changed",
        manifests.size() == 1 ? "1 document" : fmt::format("{} documents", manifests.size())));
  }
  ASSIGN_OR_RETURN(const ExitCode waited, FinishOperations(session, operations));
  return refused == ExitCode::kOk ? waited : refused;
}

}  // namespace

void AddApplyCommand(Commands& commands) {
  CLI::App* command = commands.Add(
      commands.root(), "apply",
      "Makes resources as manifests say; what they do not name goes back to its default",
      "  appsup apply -f apps/ --diff\n  appsup apply -f crm.yaml --dry-run");
  const auto options = commands.Bind<ApplyOptions>(command, Apply);
  command->add_option("-f,--file", options->paths, "file, folder, or - for standard input")
      ->required();
  command->add_flag("-R,--recursive", options->recursive, "folders with all that is below them");
  command->add_flag("--diff", options->diff, "show what will change, then change it");
  command->add_flag("--dry-run", options->dry_run,
                    "check, and with --diff show, but change nothing");
}

}  // namespace appsup::cli
