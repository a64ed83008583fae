#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

namespace appsup::entry {

enum class FilterOperator { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kHas };

// `path operator value`.
struct Comparison {
  std::vector<std::string> path;
  FilterOperator op = FilterOperator::kEqual;
  std::string value;
};

// A parsed filter.
struct FilterNode {
  enum class Kind { kAnd, kOr, kNot, kComparison };
  Kind kind = Kind::kComparison;
  std::vector<std::shared_ptr<const FilterNode>> children;
  Comparison comparison;
};

// A path of field names within a message type.
struct FieldPath {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  std::string map_key;  // If the last field is a map: the key that follows, or "".
};

// Looks in the type itself, then in its `spec`, then in its `status`. False if it is nowhere.
bool ResolvePath(const google::protobuf::Descriptor& type, const std::vector<std::string>& path,
                 FieldPath* resolved);

// Values as filters write them; nothing if the text is none.
// RUN_STATE_RUNNING is also called RUNNING.
const google::protobuf::EnumValueDescriptor* EnumValue(const google::protobuf::EnumDescriptor& type,
                                                       const std::string& word);
std::optional<double> NumberOf(const std::string& text);
std::optional<absl::Time> TimeOf(const std::string& text);  // RFC 3339.

// OK if the value fits the field that the path names.
absl::Status CheckComparison(const google::protobuf::Descriptor& type,
                             const Comparison& comparison);

bool MatchesComparison(const google::protobuf::Message& message, const Comparison& comparison);

}  // namespace appsup::entry
