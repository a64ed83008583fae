#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "entry/core/catalog.h"
#include "google/protobuf/message.h"

namespace appsup::entry {

// A kind of public resource, as watchers see it.
struct ResourceKind {
  std::string name;  // "App".
  const google::protobuf::Descriptor* type;
  // Name of the first resource after `after` in order of names; "" if there is none.
  std::function<std::string(const Catalog&, const std::string& after)> next;
  // As GetX answers; it exists.
  std::function<std::unique_ptr<google::protobuf::Message>(const Catalog&, const std::string& name)>
      view;
};

// All kinds, owners before what they own.
const std::vector<ResourceKind>& ResourceKinds();

}  // namespace appsup::entry
