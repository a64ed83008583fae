// appsup delete: apps by name, or everything that manifests name.
#include <algorithm>

#include "common/status.h"
#include "entry/cli/commands.h"
#include "entry/cli/manifest_files.h"
#include "entry/cli/names.h"
#include "entry/cli/operation_wait.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

struct DeleteOptions {
  std::vector<std::string> apps;
  std::vector<std::string> paths;
  bool recursive = false;
  bool purge = false;
  bool if_exists = false;
};

// What went wrong so far, and what goes on.
struct Deletions {
  std::vector<v1::Operation> operations;
  ExitCode refused = ExitCode::kOk;

  void Refuse(Session& session, const DeleteOptions& options, const absl::Status& status) {
    if (status.ok() || (options.if_exists && absl::IsNotFound(status))) return;
    session.err << ErrorText(status);
    refused = ExitCodeOf(status);
  }
};

absl::Status DeleteApp(Session& session, const DeleteOptions& options, const std::string& name,
                       Deletions* deletions) {
  v1::DeleteAppRequest request;
  request.set_name(name);
  request.set_purge(options.purge);
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(v1::Operation operation, client->Call(&AppStub::DeleteApp, request));
  deletions->operations.push_back(std::move(operation));
  return absl::OkStatus();
}

template <class Request, class Stub>
absl::Status DeletePlain(Session& session,
                         grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                      google::protobuf::Empty*),
                         const Manifest& manifest) {
  Request request;
  request.set_name(manifest.name());
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  RETURN_IF_ERROR(client->Call(method, request).status());
  session.Say(fmt::format("{} {}: deleted", manifest.kind, IdOf(manifest.name())));
  return absl::OkStatus();
}

absl::Status DeleteOther(Session& session, const Manifest& manifest) {
  if (manifest.kind == "Environment") {
    return DeletePlain(session, &EnvironmentStub::DeleteEnvironment, manifest);
  }
  if (manifest.kind == "Node") return DeletePlain(session, &NodeStub::DeleteNode, manifest);
  return DeletePlain(session, &ProjectStub::DeleteProject, manifest);
}

Outcome Delete(Session& session, const DeleteOptions& options) {
  if (options.apps.empty() == options.paths.empty()) {
    return UsageError("name apps to delete, or manifests by -f; one of the two");
  }
  std::vector<Manifest> manifests;
  if (!options.paths.empty()) {
    ASSIGN_OR_RETURN(manifests, LoadManifests(session, options.paths, options.recursive));
  }
  std::vector<std::string> apps;
  for (const std::string& app : options.apps) {
    ASSIGN_OR_RETURN(std::string name, AppName(session, app));
    apps.push_back(std::move(name));
  }
  for (const Manifest& manifest : manifests) {
    if (manifest.kind == "App") apps.push_back(manifest.name());
  }
  Deletions deletions;
  for (const std::string& name : apps) {
    deletions.Refuse(session, options, DeleteApp(session, options, name, &deletions));
  }
  ASSIGN_OR_RETURN(const ExitCode waited, FinishOperations(session, deletions.operations));
  // What holds apps goes after them.
  std::reverse(manifests.begin(), manifests.end());
  for (const Manifest& manifest : manifests) {
    if (manifest.kind != "App") deletions.Refuse(session, options, DeleteOther(session, manifest));
  }
  return deletions.refused == ExitCode::kOk ? waited : deletions.refused;
}

}  // namespace

void AddDeleteCommands(Commands& commands) {
  CLI::App* command =
      commands.Add(commands.root(), "delete",
                   "Deletes apps; they can be undeleted for 7 days unless --purge is given",
                   "  appsup delete crm\n  appsup delete -f apps/ --purge");
  const auto options = commands.Bind<DeleteOptions>(command, Delete);
  command->add_option("APP", options->apps, "apps");
  command->add_option("-f,--file", options->paths, "what these manifests name: file, folder or -");
  command->add_flag("-R,--recursive", options->recursive, "folders with all that is below them");
  command->add_flag("--purge", options->purge, "remove data too, for good");
  command->add_flag("--if-exists", options->if_exists, "what is not there is no error");
}

}  // namespace appsup::cli
