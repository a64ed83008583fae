#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace appsup::cli {

struct YamlOptions {
  std::string project = "default";  // Names of apps in it are written short.
  bool only_wanted = false;         // Leave out what the system sets.
};

// A resource as YAML by walking its descriptors: a manifest that `apply` reads back, where its kind
// is one of those (`kind` and `name` come first); short names, enum words, 512MiB, 5m. The etag is
// left out, so that a manifest can be applied more than once. Ends in a newline.
std::string ToYaml(const google::protobuf::Message& resource, const YamlOptions& options);

}  // namespace appsup::cli
