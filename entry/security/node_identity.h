#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace appsup::entry {

// Who a node is, by its certificate alone.
struct NodeIdentity {
  std::string node;  // Id.
  std::string uid;
  bool operator==(const NodeIdentity&) const = default;
};

// "appsup://node/{node}/{uid}".
std::string NodeUri(const NodeIdentity& identity);

// From the URI names of a verified certificate: there must be exactly one, of that form.
// UNAUTHENTICATED else, with what to do.
absl::StatusOr<NodeIdentity> NodeFromUris(const std::vector<std::string>& uris);

}  // namespace appsup::entry
