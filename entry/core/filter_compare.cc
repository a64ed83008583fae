// The comparisons of a filter, by reflection. What they name was checked by filter_check.cc.
#include <optional>

#include "absl/time/time.h"
#include "common/text_units.h"
#include "entry/core/filter_node.h"
#include "entry/core/proto_time.h"

namespace appsup::entry {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

bool Holds(FilterOperator op, int order) {
  switch (op) {
    case FilterOperator::kEqual:
    case FilterOperator::kHas:
      return order == 0;
    case FilterOperator::kNotEqual:
      return order != 0;
    case FilterOperator::kLess:
      return order < 0;
    case FilterOperator::kLessEqual:
      return order <= 0;
    case FilterOperator::kGreater:
      return order > 0;
    case FilterOperator::kGreaterEqual:
      return order >= 0;
  }
  return false;
}

template <class T>
int Order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// `*` at either end of the pattern stands for anything.
bool Globs(const std::string& pattern, const std::string& text) {
  const bool front = pattern.starts_with('*');
  const bool back = pattern.size() > 1 && pattern.ends_with('*');
  const std::string core =
      pattern.substr(front ? 1 : 0, pattern.size() - (front ? 1 : 0) - (back ? 1 : 0));
  if (front && back) return text.find(core) != std::string::npos;
  if (front) return text.ends_with(core);
  if (back) return text.starts_with(core);
  return text == pattern;
}

bool StringHolds(FilterOperator op, const std::string& text, const std::string& value) {
  if (op == FilterOperator::kHas) {
    return value == "*" ? !text.empty() : text.find(value) != std::string::npos;
  }
  if (op == FilterOperator::kEqual) return Globs(value, text);
  if (op == FilterOperator::kNotEqual) return !Globs(value, text);
  return Holds(op, Order(text, value));
}

// One value of a field: `index` is that of a repeated field, -1 else.
class Value {
 public:
  Value(const Message& message, const FieldDescriptor& field, int index)
      : message_(message), reflection_(*message.GetReflection()), field_(field), index_(index) {}

  bool Holds(FilterOperator op, const std::string& value) const {
    if (op == FilterOperator::kHas && value == "*") return IsSet();
    switch (field_.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return StringHolds(op, String(), value);
      case FieldDescriptor::CPPTYPE_BOOL:
        return entry::Holds(
            op, Order(Get(&Reflection::GetBool, &Reflection::GetRepeatedBool), value == "true"));
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto* wanted = EnumValue(*field_.enum_type(), value);
        return wanted != nullptr && entry::Holds(op, Order(Get(&Reflection::GetEnumValue,
                                                               &Reflection::GetRepeatedEnumValue),
                                                           wanted->number()));
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return MessageHolds(op, value);
      default: {
        std::optional<double> wanted = NumberOf(value);
        return wanted.has_value() && entry::Holds(op, Order(AsNumber(), *wanted));
      }
    }
  }

 private:
  template <class Result>
  Result Get(Result (Reflection::*one)(const Message&, const FieldDescriptor*) const,
             Result (Reflection::*repeated)(const Message&, const FieldDescriptor*, int)
                 const) const {
    return index_ < 0 ? (reflection_.*one)(message_, &field_)
                      : (reflection_.*repeated)(message_, &field_, index_);
  }

  std::string String() const { return Get(&Reflection::GetString, &Reflection::GetRepeatedString); }

  bool IsSet() const {
    if (index_ >= 0) return true;
    if (field_.has_presence()) return reflection_.HasField(message_, &field_);
    return field_.cpp_type() != FieldDescriptor::CPPTYPE_STRING || !String().empty();
  }

  double AsNumber() const {
    switch (field_.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return Get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32);
      case FieldDescriptor::CPPTYPE_INT64:
        return static_cast<double>(Get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64));
      case FieldDescriptor::CPPTYPE_UINT32:
        return Get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32);
      case FieldDescriptor::CPPTYPE_UINT64:
        return static_cast<double>(Get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return Get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble);
      default:
        return Get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat);
    }
  }

  bool MessageHolds(FilterOperator op, const std::string& value) const {
    if (index_ < 0 && !reflection_.HasField(message_, &field_)) {
      return op == FilterOperator::kNotEqual;
    }
    const Message& inner = index_ < 0 ? reflection_.GetMessage(message_, &field_)
                                      : reflection_.GetRepeatedMessage(message_, &field_, index_);
    if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&inner)) {
      std::optional<absl::Time> wanted = TimeOf(value);
      return wanted.has_value() && entry::Holds(op, Order(FromTimestamp(*time), *wanted));
    }
    if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&inner)) {
      absl::StatusOr<absl::Duration> wanted = ParseDuration(value);
      return wanted.ok() && entry::Holds(op, Order(FromProtoDuration(*duration), *wanted));
    }
    return false;
  }

  const Message& message_;
  const Reflection& reflection_;
  const FieldDescriptor& field_;
  const int index_;
};

bool MapHolds(const Message& message, const FieldDescriptor& field, const std::string& key,
              FilterOperator op, const std::string& value) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor& map_key = *field.message_type()->FindFieldByNumber(1);
  const FieldDescriptor& map_value = *field.message_type()->FindFieldByNumber(2);
  const bool by_key = key.empty();  // `labels:tier`
  for (int at = 0; at < reflection.FieldSize(message, &field); ++at) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, at);
    const std::string entry_key = entry.GetReflection()->GetString(entry, &map_key);
    if (by_key && (value == "*" || entry_key == value)) return true;
    if (!by_key && entry_key == key) return Value(entry, map_value, -1).Holds(op, value);
  }
  return op == FilterOperator::kNotEqual;
}

bool HoldsBelow(const Message& message, const FieldPath& path, size_t depth,
                const Comparison& comparison) {
  const FieldDescriptor& field = *path.fields[depth];
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map()) {
    return MapHolds(message, field, path.map_key, comparison.op, comparison.value);
  }
  const bool last = depth + 1 == path.fields.size();
  if (!field.is_repeated()) {
    if (last) return Value(message, field, -1).Holds(comparison.op, comparison.value);
    return HoldsBelow(reflection.GetMessage(message, &field), path, depth + 1, comparison);
  }
  for (int at = 0; at < reflection.FieldSize(message, &field); ++at) {
    if (last ? Value(message, field, at).Holds(comparison.op, comparison.value)
             : HoldsBelow(reflection.GetRepeatedMessage(message, &field, at), path, depth + 1,
                          comparison)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool MatchesComparison(const Message& message, const Comparison& comparison) {
  FieldPath path;
  if (!ResolvePath(*message.GetDescriptor(), comparison.path, &path)) return false;
  return HoldsBelow(message, path, 0, comparison);
}

}  // namespace appsup::entry
