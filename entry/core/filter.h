#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace appsup::entry {

struct FilterNode;

// A filter as in AIP-160: `state = FAILED AND labels.tier = gold`. Comparisons = != < <= > >= and
// `:` (has), joined by AND, OR (which binds tighter), NOT, `-` and parentheses. A path names a
// field of the resource, of its spec or of its status; a map's key follows a dot. Enum values may
// leave out their type's prefix. Immutable, cheap to copy, any thread.
class Filter {
 public:
  // Matches everything.
  Filter() = default;

  // An empty text matches everything. INVALID_ARGUMENT with a sentence if it cannot be read.
  static absl::StatusOr<Filter> Parse(const std::string& text);

  // OK if every path exists in messages of this type and every value fits its field.
  absl::Status Check(const google::protobuf::Descriptor& type) const;

  // A comparison whose path does not exist in the message's type is false, also with `!=`.
  bool Matches(const google::protobuf::Message& message) const;

  bool empty() const { return root_ == nullptr; }

 private:
  std::shared_ptr<const FilterNode> root_;
};

}  // namespace appsup::entry
