#include "entry/cli/yaml_writer.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "common/resource_name.h"
#include "common/text_units.h"
#include "entry/cli/manifest_words.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/protobuf/util/time_util.h"

namespace appsup::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMaxFlow = 70;  // Characters of a list in one line.

bool IsManifestKind(const std::string& kind) {
  return kind == "App" || kind == "Environment" || kind == "Node" || kind == "Project";
}

// Whether YAML readers would take the bare text for the same text: no number, no word with a
// meaning, nothing that begins or holds syntax.
bool MayStandBare(const std::string& text) {
  static const std::vector<std::string> kWords = {"true", "false", "yes", "no", "on",
                                                  "off",  "null",  "y",   "n"};
  if (text.empty()) return false;
  std::string lower = text;
  for (char& c : lower) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
        std::string_view("_-./:@+=").find(c) == std::string_view::npos) {
      return false;
    }
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (std::find(kWords.begin(), kWords.end(), lower) != kWords.end()) return false;
  const bool begins_word = std::isalpha(static_cast<unsigned char>(text.front())) != 0 ||
                           text.front() == '/' || text.front() == '_';
  return begins_word && text.back() != ':';
}

std::string Quoted(const std::string& text) {
  if (MayStandBare(text)) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string DurationText(const Message& message) {
  const auto& duration = static_cast<const google::protobuf::Duration&>(message);
  return absl::FormatDuration(absl::Seconds(duration.seconds()) +
                              absl::Nanoseconds(duration.nanos()));
}

std::string NumberText(int64_t number, Unit unit) {
  switch (unit) {
    case Unit::kNone:
      break;
    case Unit::kCpu:
      return FormatCpu(number);
    case Unit::kBytes:
      return number == 0 ? "0" : FormatBytes(number);
  }
  return std::to_string(number);
}

class Writer {
 public:
  explicit Writer(const YamlOptions& options) : options_(options) {}

  std::string WriteTop(const Message& message) {
    const std::string& kind = message.GetDescriptor()->name();
    if (IsManifestKind(kind)) text_ += fmt::format("kind: {}\n", kind);
    WriteFields(message, 0, Unit::kNone);
    return std::move(text_);
  }

 private:
  // Passed over at the top of a manifest and in its spec.
  bool IsLeftOut(const FieldDescriptor& field) const {
    const std::string& type = field.containing_type()->name();
    if (field.name() == "etag" && IsManifestKind(type)) return true;
    if (type == "AppSpec" && field.name() == "restart_nonce") return true;
    return options_.only_wanted && IsOutputOnly(field);
  }

  void WriteFields(const Message& message, int depth, Unit unit) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      if (!IsLeftOut(*field)) WriteField(message, *field, depth, unit);
    }
  }

  void Line(int depth, const std::string& content) {
    text_ += pending_.empty() ? std::string(static_cast<size_t>(depth) * 2, ' ') : pending_;
    pending_.clear();
    text_ += content + "\n";
  }

  void WriteField(const Message& message, const FieldDescriptor& field, int depth, Unit unit) {
    const std::string key = KeyOfField(field);
    const std::optional<KeyMeaning> meaning = MeaningOfKey(*message.GetDescriptor(), key);
    if (meaning.has_value() && meaning->unit != Unit::kNone) unit = meaning->unit;
    if (field.is_map()) return WriteMap(message, field, key, depth);
    if (field.is_repeated()) return WriteList(message, field, key, depth);
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return Line(depth, fmt::format("{}: {}", key, ScalarText(message, field, unit)));
    }
    const Message& inner = message.GetReflection()->GetMessage(message, &field);
    const std::optional<std::string> one_line = ShortForm(inner, unit);
    if (one_line.has_value()) return Line(depth, fmt::format("{}: {}", key, *one_line));
    Line(depth, key + ":");
    WriteInner(inner, depth + 1, unit);
  }

  void WriteInner(const Message& message, int depth, Unit unit) {
    if (message.GetDescriptor() != google::protobuf::Any::descriptor()) {
      return WriteFields(message, depth, unit);
    }
    const auto& any = static_cast<const google::protobuf::Any&>(message);
    Line(depth, fmt::format("\"@type\": {}", Quoted(any.type_url())));
    const std::string type = any.type_url().substr(any.type_url().rfind('/') + 1);
    const Descriptor* descriptor =
        google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
    if (descriptor == nullptr) return;
    const std::unique_ptr<Message> packed(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
    if (packed->ParseFromString(any.value())) WriteFields(*packed, depth, unit);
  }

  // A message that has a form of one line: durations, times, amounts, `data: NODE`, `{}`.
  std::optional<std::string> ShortForm(const Message& message, Unit unit) const {
    const Descriptor* type = message.GetDescriptor();
    if (type == google::protobuf::Duration::descriptor()) return DurationText(message);
    if (type == google::protobuf::Timestamp::descriptor()) {
      return fmt::format("\"{}\"", google::protobuf::util::TimeUtil::ToString(
                                       static_cast<const google::protobuf::Timestamp&>(message)));
    }
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    if (fields.empty()) return "{}";
    const FieldDescriptor* scalar = FieldOfScalar(*type);
    if (scalar != nullptr && fields.size() == 1 && fields[0] == scalar) {
      return ScalarText(message, *scalar, unit);
    }
    if (IsAmount(*type)) return AmountText(message, unit);
    return std::nullopt;
  }

  std::string AmountText(const Message& amount, Unit unit) const {
    const Reflection& reflection = *amount.GetReflection();
    const Descriptor& type = *amount.GetDescriptor();
    const int64_t reserve = reflection.GetInt64(amount, type.FindFieldByName("reserve"));
    const int64_t limit = reflection.GetInt64(amount, type.FindFieldByName("limit"));
    if (reserve == limit) return NumberText(limit, unit);
    return fmt::format("{{reserve: {}, limit: {}}}", NumberText(reserve, unit),
                       NumberText(limit, unit));
  }

  void WriteMap(const Message& message, const FieldDescriptor& field, const std::string& key,
                int depth) {
    std::map<std::string, std::string> sorted;
    const Reflection& reflection = *message.GetReflection();
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const Message& pair = reflection.GetRepeatedMessage(message, &field, i);
      sorted[pair.GetReflection()->GetString(pair, pair.GetDescriptor()->map_key())] =
          pair.GetReflection()->GetString(pair, pair.GetDescriptor()->map_value());
    }
    Line(depth, key + ":");
    for (const auto& [name, value] : sorted) {
      Line(depth + 1, fmt::format("{}: {}", Quoted(name), Quoted(value)));
    }
  }

  void WriteList(const Message& message, const FieldDescriptor& field, const std::string& key,
                 int depth) {
    const Reflection& reflection = *message.GetReflection();
    const int size = reflection.FieldSize(message, &field);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Line(depth, key + ":");
      for (int i = 0; i < size; ++i) {
        const Message& element = reflection.GetRepeatedMessage(message, &field, i);
        const std::string dash = std::string(static_cast<size_t>(depth) * 2, ' ') + "- ";
        pending_ = dash;
        WriteInner(element, depth + 1, Unit::kNone);
        if (!pending_.empty()) Line(depth, "{}");  // It had no field at all.
      }
      return;
    }
    std::vector<std::string> texts;
    for (int i = 0; i < size; ++i) {
      texts.push_back(Quoted(reflection.GetRepeatedString(message, &field, i)));
    }
    const std::string flow = fmt::format("{}: [{}]", key, fmt::join(texts, ", "));
    if (flow.size() <= kMaxFlow) return Line(depth, flow);
    Line(depth, key + ":");
    for (const std::string& text : texts) Line(depth, "- " + text);
  }

  std::string ScalarText(const Message& message, const FieldDescriptor& field, Unit unit) const {
    const Reflection& reflection = *message.GetReflection();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return NumberText(reflection.GetInt32(message, &field), unit);
      case FieldDescriptor::CPPTYPE_INT64:
        return NumberText(reflection.GetInt64(message, &field), unit);
      case FieldDescriptor::CPPTYPE_UINT32:
        return std::to_string(reflection.GetUInt32(message, &field));
      case FieldDescriptor::CPPTYPE_UINT64:
        return std::to_string(reflection.GetUInt64(message, &field));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return fmt::format("{}", reflection.GetDouble(message, &field));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return fmt::format("{}", reflection.GetFloat(message, &field));
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.GetBool(message, &field) ? "true" : "false";
      case FieldDescriptor::CPPTYPE_ENUM:
        return ShortWord(*reflection.GetEnum(message, &field));
      case FieldDescriptor::CPPTYPE_STRING:
        return StringText(message, field);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    return "";
  }

  std::string StringText(const Message& message, const FieldDescriptor& field) const {
    const std::string text = message.GetReflection()->GetString(message, &field);
    if (field.name() == "name" && message.GetDescriptor()->name() == "App") {
      const auto ids = MatchName("projects/*/apps/*", text);
      if (ids.has_value() && (*ids)[0] == options_.project) return Quoted((*ids)[1]);
    }
    if (field.name() == "name" && IsManifestKind(message.GetDescriptor()->name())) {
      const std::string id = text.substr(text.rfind('/') + 1);
      if (text.find('/') == text.rfind('/')) return Quoted(id);
    }
    return Quoted(text);
  }

  const YamlOptions& options_;
  std::string text_;
  std::string pending_;  // "- " of a list, written with the first line of its element.
};

}  // namespace

std::string ToYaml(const Message& resource, const YamlOptions& options) {
  return Writer(options).WriteTop(resource);
}

}  // namespace appsup::cli
