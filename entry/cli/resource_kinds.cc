#include "entry/cli/resource_kinds.h"

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "entry/cli/exit_code.h"
#include "entry/cli/manifest_words.h"
#include "entry/cli/names.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace appsup::cli {
namespace {

using google::protobuf::Message;
using MessagePtr = ResourceKind::MessagePtr;

template <class Response>
absl::StatusOr<MessagePtr> Own(absl::StatusOr<Response> response) {
  if (!response.ok()) return response.status();
  return MessagePtr(std::make_unique<Response>(*std::move(response)));
}

template <class Stub, class Request, class Response>
absl::StatusOr<MessagePtr> ListOf(Session& session,
                                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                               Response*),
                                  Request request) {
  ASSIGN_OR_RETURN(Client * client, session.client());
  return Own(client->ListAll(method, std::move(request)));
}

template <class Stub, class Request, class Response>
absl::StatusOr<MessagePtr> GetOf(Session& session,
                                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                                 const absl::StatusOr<std::string>& name) {
  if (!name.ok()) return name.status();
  Request request;
  request.set_name(*name);
  ASSIGN_OR_RETURN(Client * client, session.client());
  return Own(client->Call(method, request));
}

std::string ProjectPart(const Session& session, const ListQuery& query) {
  return fmt::format("projects/{}", query.all_projects ? "-" : session.settings.project);
}

absl::StatusOr<MessagePtr> ListApps(Session& session, const ListQuery& query) {
  v1::ListAppsRequest request;
  request.set_parent(ProjectPart(session, query));
  request.set_filter(query.filter);
  request.set_show_deleted(query.show_deleted);
  return ListOf(session, &AppStub::ListApps, std::move(request));
}

absl::StatusOr<MessagePtr> ListInstances(Session& session, const ListQuery& query) {
  v1::ListInstancesRequest request;
  request.set_parent(ProjectPart(session, query) + "/apps/-");
  if (!query.app.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_parent(), AppName(session, query.app));
  }
  request.set_filter(query.filter);
  return ListOf(session, &AppStub::ListInstances, std::move(request));
}

absl::StatusOr<MessagePtr> ListRevisions(Session& session, const ListQuery& query) {
  if (query.app.empty()) {
    return UsageError("revisions belong to an app; name it: `appsup get revisions crm`");
  }
  v1::ListAppRevisionsRequest request;
  ASSIGN_OR_RETURN(*request.mutable_parent(), AppName(session, query.app));
  return ListOf(session, &AppStub::ListAppRevisions, std::move(request));
}

absl::StatusOr<MessagePtr> ListNodes(Session& session, const ListQuery& query) {
  v1::ListNodesRequest request;
  request.set_filter(query.filter);
  return ListOf(session, &NodeStub::ListNodes, std::move(request));
}

absl::StatusOr<MessagePtr> ListEnvironments(Session& session, const ListQuery& query) {
  v1::ListEnvironmentsRequest request;
  request.set_filter(query.filter);
  return ListOf(session, &EnvironmentStub::ListEnvironments, std::move(request));
}

absl::StatusOr<MessagePtr> ListProjects(Session& session, const ListQuery& query) {
  v1::ListProjectsRequest request;
  request.set_filter(query.filter);
  return ListOf(session, &ProjectStub::ListProjects, std::move(request));
}

absl::StatusOr<MessagePtr> ListOperations(Session& session, const ListQuery& query) {
  v1::ListOperationsRequest request;
  request.set_parent(ProjectPart(session, query));
  request.set_filter(query.filter);
  return ListOf(session, &OperationStub::ListOperations, std::move(request));
}

absl::StatusOr<MessagePtr> ListBlobs(Session& session, const ListQuery&) {
  return ListOf(session, &ArtifactStub::ListBlobs, v1::ListBlobsRequest());
}

absl::StatusOr<MessagePtr> GetApp(Session& session, const std::string& text) {
  return GetOf(session, &AppStub::GetApp, AppName(session, text));
}
absl::StatusOr<MessagePtr> GetNode(Session& session, const std::string& text) {
  return GetOf(session, &NodeStub::GetNode, NodeName(text));
}
absl::StatusOr<MessagePtr> GetEnvironment(Session& session, const std::string& text) {
  return GetOf(session, &EnvironmentStub::GetEnvironment, EnvironmentName(text));
}
absl::StatusOr<MessagePtr> GetProject(Session& session, const std::string& text) {
  return GetOf(session, &ProjectStub::GetProject, ProjectName(text));
}
absl::StatusOr<MessagePtr> GetOperation(Session& session, const std::string& text) {
  return GetOf(session, &OperationStub::GetOperation, OperationName(session, text));
}
absl::StatusOr<MessagePtr> GetBlob(Session& session, const std::string& text) {
  return GetOf(session, &ArtifactStub::GetBlob,
               text.rfind("blobs/", 0) == 0 ? text : "blobs/" + text);
}

}  // namespace

const std::vector<ResourceKind>& ResourceKinds() {
  static const std::vector<ResourceKind> kinds = {
      {"apps", {"app"}, v1::App::descriptor(), true, false, true, true, ListApps, GetApp},
      {"instances",
       {"instance", "inst"},
       v1::Instance::descriptor(),
       true,
       true,
       true,
       true,
       ListInstances,
       nullptr},
      {"nodes", {"node"}, v1::Node::descriptor(), false, false, true, true, ListNodes, GetNode},
      {"environments",
       {"environment", "envs", "env"},
       v1::Environment::descriptor(),
       false,
       false,
       true,
       true,
       ListEnvironments,
       GetEnvironment},
      {"projects",
       {"project"},
       v1::Project::descriptor(),
       false,
       false,
       true,
       true,
       ListProjects,
       GetProject},
      {"operations",
       {"operation", "ops", "op"},
       v1::Operation::descriptor(),
       true,
       false,
       true,
       true,
       ListOperations,
       GetOperation},
      {"revisions",
       {"revision", "rev"},
       v1::AppRevision::descriptor(),
       true,
       true,
       false,
       false,
       ListRevisions,
       nullptr},
      {"blobs", {"blob"}, v1::Blob::descriptor(), false, false, false, false, ListBlobs, GetBlob},
  };
  return kinds;
}

absl::StatusOr<const ResourceKind*> FindResourceKind(const std::string& word) {
  std::vector<std::string> words;
  for (const ResourceKind& kind : ResourceKinds()) {
    words.push_back(kind.word);
    if (word == kind.word ||
        std::find(kind.aliases.begin(), kind.aliases.end(), word) != kind.aliases.end()) {
      return &kind;
    }
  }
  const std::string nearest = NearestWord(word, words);
  return UsageError(fmt::format("there is no kind \"{}\"{}; allowed: {}", word,
                                nearest.empty() ? "" : "; did you mean " + nearest + "?",
                                fmt::join(words, ", ")));
}

std::vector<const Message*> ResourcesIn(const Message& list) {
  std::vector<const Message*> resources;
  const auto* type = list.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    if (!field->is_repeated() || field->message_type() == nullptr) continue;
    for (int at = 0; at < list.GetReflection()->FieldSize(list, field); ++at) {
      resources.push_back(&list.GetReflection()->GetRepeatedMessage(list, field, at));
    }
  }
  return resources;
}

}  // namespace appsup::cli
