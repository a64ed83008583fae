// The comparisons of a filter, by reflection.
#include <algorithm>
#include <cstdlib>
#include <optional>

#include "absl/time/time.h"
#include "common/text_units.h"
#include "entry/core/filter_node.h"
#include "entry/core/proto_time.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

bool IsTime(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type() == google::protobuf::Timestamp::descriptor();
}

bool IsDuration(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type() == google::protobuf::Duration::descriptor();
}

std::string Join(const std::vector<std::string>& parts, size_t from) {
  std::string joined;
  for (size_t at = from; at < parts.size(); ++at) joined += (at == from ? "" : ".") + parts[at];
  return joined;
}

bool ResolveFrom(const Descriptor* type, const std::vector<std::string>& path, FieldPath* out) {
  for (size_t at = 0; at < path.size(); ++at) {
    const FieldDescriptor* field = type == nullptr ? nullptr : type->FindFieldByName(path[at]);
    if (field == nullptr) return false;
    out->fields.push_back(field);
    if (field->is_map()) {
      out->map_key = Join(path, at + 1);
      return true;
    }
    const bool leaf = field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || IsTime(*field) ||
                      IsDuration(*field);
    type = leaf ? nullptr : field->message_type();
  }
  return !path.empty();
}

// RUN_STATE_RUNNING is also called RUNNING.
const google::protobuf::EnumValueDescriptor* EnumValue(const EnumDescriptor& type,
                                                       const std::string& word) {
  if (const auto* value = type.FindValueByName(word)) return value;
  const std::string& zero = type.value(0)->name();
  const std::string suffix = "UNSPECIFIED";
  if (!zero.ends_with(suffix)) return nullptr;
  return type.FindValueByName(zero.substr(0, zero.size() - suffix.size()) + word);
}

std::string EnumWords(const EnumDescriptor& type) {
  std::string words;
  const size_t prefix = type.value(0)->name().size() - std::string("UNSPECIFIED").size();
  for (int at = 1; at < type.value_count(); ++at) {
    words += (at == 1 ? "" : ", ") + type.value(at)->name().substr(prefix);
  }
  return words;
}

std::optional<double> Number(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') return std::nullopt;
  return number;
}

std::optional<absl::Time> TimeOf(const std::string& text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return std::nullopt;
  return time;
}

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
        return entry::Holds(op, Order(Get(&Reflection::GetBool, &Reflection::GetRepeatedBool),
                                      value == "true"));
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto* wanted = EnumValue(*field_.enum_type(), value);
        return wanted != nullptr &&
               entry::Holds(op, Order(Get(&Reflection::GetEnumValue,
                                          &Reflection::GetRepeatedEnumValue),
                                      wanted->number()));
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return MessageHolds(op, value);
      default: {
        std::optional<double> wanted = Number(value);
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

  std::string String() const {
    return Get(&Reflection::GetString, &Reflection::GetRepeatedString);
  }

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
    const Message& inner = index_ < 0
                               ? reflection_.GetMessage(message_, &field_)
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

absl::Status WrongValue(const Comparison& comparison, const std::string& expected) {
  return absl::InvalidArgumentError(fmt::format("\"{}\" does not fit the field {}: {}",
                                                comparison.value, Join(comparison.path, 0),
                                                expected));
}

absl::Status CheckMessageValue(const FieldDescriptor& field, const Comparison& comparison) {
  if (comparison.op == FilterOperator::kHas && comparison.value == "*") return absl::OkStatus();
  if (IsTime(field)) {
    return TimeOf(comparison.value).has_value()
               ? absl::OkStatus()
               : WrongValue(comparison, "expected a time such as \"2026-01-31T08:00:00Z\"");
  }
  if (IsDuration(field)) {
    return ParseDuration(comparison.value).ok()
               ? absl::OkStatus()
               : WrongValue(comparison, "expected a duration such as 30s");
  }
  return WrongValue(comparison, "it has fields of its own; name one of them, or write `:*`");
}

absl::Status CheckValue(const FieldDescriptor& field, const Comparison& comparison) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return CheckMessageValue(field, comparison);
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING ||
      (comparison.op == FilterOperator::kHas && comparison.value == "*")) {
    return absl::OkStatus();
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
    return comparison.value == "true" || comparison.value == "false"
               ? absl::OkStatus()
               : WrongValue(comparison, "expected true or false");
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return EnumValue(*field.enum_type(), comparison.value) != nullptr
               ? absl::OkStatus()
               : WrongValue(comparison, "expected one of " + EnumWords(*field.enum_type()));
  }
  return Number(comparison.value).has_value() ? absl::OkStatus()
                                              : WrongValue(comparison, "expected a number");
}

}  // namespace

bool ResolvePath(const Descriptor& type, const std::vector<std::string>& path,
                 FieldPath* resolved) {
  for (const char* inside : {"", "spec", "status"}) {
    FieldPath found;
    std::vector<std::string> full = path;
    if (*inside != '\0') full.insert(full.begin(), inside);
    if (!ResolveFrom(&type, full, &found)) continue;
    *resolved = std::move(found);
    return true;
  }
  return false;
}

absl::Status CheckComparison(const Descriptor& type, const Comparison& comparison) {
  FieldPath path;
  if (!ResolvePath(type, comparison.path, &path)) {
    return absl::InvalidArgumentError(
        fmt::format("{} has no field \"{}\"", type.name(), Join(comparison.path, 0)));
  }
  const FieldDescriptor& field = *path.fields.back();
  if (!field.is_map()) return CheckValue(field, comparison);
  if (path.map_key.empty() && comparison.op != FilterOperator::kHas) {
    const std::string name = Join(comparison.path, 0);
    return absl::InvalidArgumentError(
        fmt::format("\"{0}\" has keys: write {0}.KEY = VALUE or {0}:KEY", name));
  }
  return absl::OkStatus();
}

bool MatchesComparison(const Message& message, const Comparison& comparison) {
  FieldPath path;
  if (!ResolvePath(*message.GetDescriptor(), comparison.path, &path)) return false;
  return HoldsBelow(message, path, 0, comparison);
}

}  // namespace appsup::entry
