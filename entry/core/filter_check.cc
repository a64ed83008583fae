// What a filter's paths and values mean: fields by descriptor, words of enums, numbers, times.
#include <cstdlib>
#include <optional>

#include "absl/time/time.h"
#include "common/text_units.h"
#include "entry/core/filter_node.h"
#include "fmt/format.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace appsup::entry {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

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

std::string EnumWords(const EnumDescriptor& type) {
  std::string words;
  const size_t prefix = type.value(0)->name().size() - std::string("UNSPECIFIED").size();
  for (int at = 1; at < type.value_count(); ++at) {
    words += (at == 1 ? "" : ", ") + type.value(at)->name().substr(prefix);
  }
  return words;
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
  return NumberOf(comparison.value).has_value() ? absl::OkStatus()
                                                : WrongValue(comparison, "expected a number");
}

}  // namespace

const google::protobuf::EnumValueDescriptor* EnumValue(const EnumDescriptor& type,
                                                       const std::string& word) {
  if (const auto* value = type.FindValueByName(word)) return value;
  const std::string& zero = type.value(0)->name();
  const std::string suffix = "UNSPECIFIED";
  if (!zero.ends_with(suffix)) return nullptr;
  return type.FindValueByName(zero.substr(0, zero.size() - suffix.size()) + word);
}

std::optional<double> NumberOf(const std::string& text) {
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
    std::string name = Join(comparison.path, 0);
    if (name.ends_with('.')) name.pop_back();
    return absl::InvalidArgumentError(
        fmt::format("\"{0}\" has keys: write {0}.KEY = VALUE or {0}:KEY", name));
  }
  return absl::OkStatus();
}

}  // namespace appsup::entry
