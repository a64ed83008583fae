#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "entry/cli/session.h"
#include "google/protobuf/message.h"

namespace appsup::cli {

struct ListQuery {
  std::string app;  // Only of this app, by what was typed; revisions need it.
  std::string filter;
  bool all_projects = false;
  bool show_deleted = false;
};

// A kind that `appsup get` knows.
struct ResourceKind {
  using MessagePtr = std::unique_ptr<google::protobuf::Message>;

  std::string word;  // "apps"
  std::vector<std::string> aliases;
  const google::protobuf::Descriptor* type;
  bool in_project;  // Belongs to a project.
  bool of_app;      // Its names on the command line are those of apps, which hold it.
  bool filters;     // Its list takes a filter.
  bool watched;     // WatchEvents tells of it.
  // Everything that matches, in one list answer whose only repeated field holds the resources.
  absl::StatusOr<MessagePtr> (*list)(Session& session, const ListQuery& query);
  // One by what was typed; nullptr where there is no such call.
  absl::StatusOr<MessagePtr> (*get)(Session& session, const std::string& text);
};

const std::vector<ResourceKind>& ResourceKinds();

// By its word, singular or alias. INVALID_ARGUMENT names those that there are.
absl::StatusOr<const ResourceKind*> FindResourceKind(const std::string& word);

// The resources of a list answer.
std::vector<const google::protobuf::Message*> ResourcesIn(const google::protobuf::Message& list);

}  // namespace appsup::cli
