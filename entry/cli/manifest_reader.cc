#include "entry/cli/manifest_reader.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "common/text_units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "google/protobuf/duration.pb.h"

namespace appsup::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMaxShown = 60;

bool IsQuoted(const YAML::Node& node) { return node.Tag() == "!"; }

std::string ShownValue(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return "nothing";
    case YAML::NodeType::Scalar:
      return fmt::format("{}\"{}\"", IsQuoted(node) ? "the text " : "",
                         node.Scalar().substr(0, kMaxShown));
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a mapping";
  }
  return "something unknown";
}

std::string Below(const std::string& path, const std::string& key) {
  return path.empty() ? key : fmt::format("{}.{}", path, key);
}

std::string Suggestion(const std::string& word, const std::vector<std::string>& allowed) {
  const std::string nearest = NearestWord(word, allowed);
  return nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest);
}

bool IsDuration(const Descriptor& type) {
  return &type == google::protobuf::Duration::descriptor();
}

}  // namespace

Place ManifestReader::PlaceAt(const YAML::Mark& mark) const {
  return mark.is_null() ? Place{file_, 0, 0} : Place{file_, mark.line + 1, mark.column + 1};
}

void ManifestReader::Note(const YAML::Mark& mark, std::string what) {
  faults_.Add(PlaceAt(mark), std::move(what));
}

void ManifestReader::NoteWrong(const YAML::Node& value, const std::string& path,
                               const std::string& allowed) {
  Note(value.Mark(), fmt::format("{} must be {}, is {}", path, allowed, ShownValue(value)));
}

void ManifestReader::ReadTop(const YAML::Node& map, const std::vector<std::string>& passed_over,
                             Message* message) {
  ReadKeys(map, passed_over, "", Unit::kNone, message);
}

void ManifestReader::ReadKeys(const YAML::Node& map, const std::vector<std::string>& passed_over,
                              const std::string& path, Unit unit, Message* message) {
  std::map<std::string, YAML::Mark> seen;
  std::map<std::string, YAML::Mark> choices;
  for (const auto& entry : map) {
    const YAML::Node& key = entry.first;
    if (!key.IsScalar()) {
      Note(key.Mark(), fmt::format("a key must be a plain word, is {}", ShownValue(key)));
      continue;
    }
    const auto [first, is_new] = seen.emplace(key.Scalar(), key.Mark());
    if (!is_new) {
      Note(key.Mark(), fmt::format("key {} is given twice, first in line {}; keep one",
                                   Below(path, key.Scalar()), first->second.line + 1));
      continue;
    }
    if (std::find(passed_over.begin(), passed_over.end(), key.Scalar()) != passed_over.end()) {
      continue;
    }
    ReadKey(key, entry.second, path, unit, message, &choices);
  }
}

void ManifestReader::ReadKey(const YAML::Node& key, const YAML::Node& value,
                             const std::string& path, Unit unit, Message* message,
                             std::map<std::string, YAML::Mark>* choices) {
  const Descriptor& type = *message->GetDescriptor();
  const std::string& word = key.Scalar();
  if (IsArtifactFile(type, word)) {
    if (TakeArm(key, "source", Below(path, word), choices)) {
      ReadArtifactFile(value, Below(path, word));
    }
    return;
  }
  const std::optional<KeyMeaning> meaning = MeaningOfKey(type, word);
  if (!meaning.has_value()) return NoteUnknownKey(key, path, type);
  const FieldDescriptor& field = *meaning->field;
  if (IsOutputOnly(field)) return;
  // `cpu` beside `cpu_millis` is one field twice, and falls under the same rule as a choice.
  const auto* choice = field.real_containing_oneof();
  const std::string choice_name = choice != nullptr ? choice->name() : field.name();
  if (!TakeArm(key, choice_name, Below(path, word), choices)) return;
  const std::string field_path = Below(path, field.name());
  fields_.emplace(field_path, PlaceAt(key.Mark()));
  const Unit inner = meaning->unit == Unit::kNone ? unit : meaning->unit;
  ReadValue(value, {message, &field, field_path, inner});
}

void ManifestReader::NoteUnknownKey(const YAML::Node& key, const std::string& path,
                                    const Descriptor& type) {
  const std::string& word = key.Scalar();
  const std::vector<std::string> allowed = KeysOf(type);
  const std::string where = path.empty() ? "here" : "in " + path;
  if (IsLaterKey(type, word)) {
    Note(key.Mark(), fmt::format("{} is not in this release, only in later ones; allowed {}: {}",
                                 Below(path, word), where, fmt::join(allowed, ", ")));
    return;
  }
  Note(key.Mark(), fmt::format("unknown key {}{}; allowed {}: {}", Below(path, word),
                               Suggestion(word, allowed), where, fmt::join(allowed, ", ")));
}

bool ManifestReader::TakeArm(const YAML::Node& key, const std::string& choice,
                             const std::string& arm, std::map<std::string, YAML::Mark>* choices) {
  const auto [first, is_new] = choices->emplace(choice, key.Mark());
  if (is_new) return true;
  Note(key.Mark(), fmt::format("{} is a second choice beside the one in line {}; keep one", arm,
                               first->second.line + 1));
  return false;
}

void ManifestReader::ReadArtifactFile(const YAML::Node& value, const std::string& path) {
  const std::optional<std::string> file = ReadText(value, path);
  if (!file.has_value()) return;
  fields_.emplace(path, PlaceAt(value.Mark()));
  if (file->empty()) return NoteWrong(value, path, "the path of a file or folder");
  artifact_file_ = *file;
}

void ManifestReader::ReadValue(const YAML::Node& value, const Slot& slot) {
  const FieldDescriptor& field = *slot.field;
  if (field.is_map()) return ReadMap(value, slot);
  if (field.is_repeated()) return ReadList(value, slot);
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return ReadScalar(value, slot);
  if (value.IsNull()) return;  // `resources:` with all lines below it taken out.
  ReadMessage(value, slot, slot.message->GetReflection()->MutableMessage(slot.message, slot.field));
}

void ManifestReader::ReadMessage(const YAML::Node& value, const Slot& slot, Message* message) {
  const Descriptor& type = *message->GetDescriptor();
  if (IsDuration(type)) return ReadDuration(value, slot, message);
  if (IsAmount(type) && !value.IsMap()) return ReadAmount(value, slot, message);
  const FieldDescriptor* scalar = FieldOfScalar(type);
  if (scalar != nullptr && value.IsScalar()) {
    return ReadScalar(value, {message, scalar, slot.path, Unit::kNone});
  }
  if (!value.IsMap()) {
    return NoteWrong(value, slot.path,
                     fmt::format("a mapping with {}", fmt::join(KeysOf(type), ", ")));
  }
  ReadKeys(value, {}, slot.path, slot.unit, message);
}

void ManifestReader::ReadDuration(const YAML::Node& value, const Slot& slot, Message* duration) {
  const std::string allowed = "a duration such as 500ms, 90s or 1h30m";
  if (!value.IsScalar()) return NoteWrong(value, slot.path, allowed);
  const absl::StatusOr<absl::Duration> parsed = ParseDuration(value.Scalar());
  if (!parsed.ok()) return NoteWrong(value, slot.path, allowed);
  google::protobuf::Duration result;
  absl::Duration rest;
  result.set_seconds(absl::IDivDuration(*parsed, absl::Seconds(1), &rest));
  result.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  duration->CopyFrom(result);
}

void ManifestReader::ReadAmount(const YAML::Node& value, const Slot& slot, Message* amount) {
  const std::optional<int64_t> number =
      ReadNumber(value, slot.path, slot.unit, 0, std::numeric_limits<int64_t>::max());
  if (!number.has_value()) return;
  for (const char* field : {"reserve", "limit"}) {
    amount->GetReflection()->SetInt64(amount, amount->GetDescriptor()->FindFieldByName(field),
                                      *number);
  }
}

void ManifestReader::ReadMap(const YAML::Node& value, const Slot& slot) {
  if (value.IsNull()) return;
  if (!value.IsMap()) return NoteWrong(value, slot.path, "a mapping of names to texts");
  std::map<std::string, YAML::Mark> seen;
  for (const auto& entry : value) {
    const std::optional<std::string> key = ReadText(entry.first, slot.path + ": a key");
    if (!key.has_value()) continue;
    const std::string path = Below(slot.path, *key);
    const auto [first, is_new] = seen.emplace(*key, entry.first.Mark());
    if (!is_new) {
      Note(entry.first.Mark(), fmt::format("key {} is given twice, first in line {}; keep one",
                                           path, first->second.line + 1));
      continue;
    }
    fields_.emplace(path, PlaceAt(entry.first.Mark()));
    const std::optional<std::string> text = ReadText(entry.second, path);
    if (!text.has_value()) continue;
    Message* pair = slot.message->GetReflection()->AddMessage(slot.message, slot.field);
    const Descriptor* type = pair->GetDescriptor();
    pair->GetReflection()->SetString(pair, type->map_key(), *key);
    pair->GetReflection()->SetString(pair, type->map_value(), *text);
  }
}

void ManifestReader::ReadList(const YAML::Node& value, const Slot& slot) {
  if (value.IsNull()) return;
  const bool of_messages = slot.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!value.IsSequence()) {
    return NoteWrong(value, slot.path,
                     of_messages ? "a list of mappings" : "a list of texts, such as [a, b]");
  }
  size_t index = 0;
  for (const YAML::Node& element : value) {
    const std::string path = fmt::format("{}[{}]", slot.path, index++);
    fields_.emplace(path, PlaceAt(element.Mark()));
    if (of_messages) {
      Message* added = slot.message->GetReflection()->AddMessage(slot.message, slot.field);
      ReadMessage(element, {slot.message, slot.field, path, slot.unit}, added);
    } else if (const std::optional<std::string> text = ReadText(element, path)) {
      slot.message->GetReflection()->AddString(slot.message, slot.field, *text);
    }
  }
}

void ManifestReader::ReadScalar(const YAML::Node& value, const Slot& slot) {
  Message* message = slot.message;
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  switch (slot.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (const auto text = ReadText(value, slot.path)) {
        reflection.SetString(message, slot.field, *text);
      }
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      if (value.IsScalar() && !IsQuoted(value) &&
          (value.Scalar() == "true" || value.Scalar() == "false")) {
        reflection.SetBool(message, slot.field, value.Scalar() == "true");
        return;
      }
      return NoteWrong(value, slot.path, "true or false");
    case FieldDescriptor::CPPTYPE_ENUM:
      return ReadEnum(value, slot);
    case FieldDescriptor::CPPTYPE_INT32:
      if (const auto number =
              ReadNumber(value, slot.path, slot.unit, std::numeric_limits<int32_t>::min(),
                         std::numeric_limits<int32_t>::max())) {
        reflection.SetInt32(message, slot.field, static_cast<int32_t>(*number));
      }
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      if (const auto number =
              ReadNumber(value, slot.path, slot.unit, std::numeric_limits<int64_t>::min(),
                         std::numeric_limits<int64_t>::max())) {
        reflection.SetInt64(message, slot.field, *number);
      }
      return;
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      Note(value.Mark(), fmt::format("{} cannot be written in a manifest", slot.path));
  }
}

void ManifestReader::ReadEnum(const YAML::Node& value, const Slot& slot) {
  const google::protobuf::EnumDescriptor& type = *slot.field->enum_type();
  const std::vector<std::string> words = WordsOf(type);
  const std::string allowed = fmt::format("one of {}", fmt::join(words, ", "));
  if (!value.IsScalar()) return NoteWrong(value, slot.path, allowed);
  const google::protobuf::EnumValueDescriptor* found = FindWord(type, value.Scalar());
  if (found == nullptr) {
    Note(value.Mark(), fmt::format("{} must be {}, is {}{}", slot.path, allowed, ShownValue(value),
                                   Suggestion(value.Scalar(), words)));
    return;
  }
  slot.message->GetReflection()->SetEnum(slot.message, slot.field, found);
}

std::optional<int64_t> ManifestReader::ReadNumber(const YAML::Node& value, const std::string& path,
                                                  Unit unit, int64_t min, int64_t max) {
  if (unit != Unit::kNone) {
    const std::string allowed = unit == Unit::kCpu ? "an amount of CPU such as 2, 0.5 or 500m"
                                                   : "a size such as 512Mi, 2G or 4096";
    if (value.IsScalar()) {
      const absl::StatusOr<int64_t> parsed =
          unit == Unit::kCpu ? ParseCpu(value.Scalar()) : ParseBytes(value.Scalar());
      if (parsed.ok()) return *parsed;
    }
    NoteWrong(value, path, allowed);
    return std::nullopt;
  }
  if (value.IsScalar() && !IsQuoted(value)) {
    const std::string& text = value.Scalar();
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= min &&
        number <= max) {
      return number;
    }
  }
  NoteWrong(value, path, fmt::format("a whole number from {} to {}", min, max));
  return std::nullopt;
}

std::optional<std::string> ManifestReader::ReadText(const YAML::Node& value,
                                                    const std::string& path) {
  if (value.IsScalar()) return value.Scalar();
  if (value.IsNull()) {
    Note(value.Mark(), fmt::format("{} has no value; write \"\" for an empty text", path));
  } else {
    NoteWrong(value, path, "a text");
  }
  return std::nullopt;
}

}  // namespace appsup::cli
