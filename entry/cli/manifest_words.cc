#include "entry/cli/manifest_words.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <string_view>

namespace appsup::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

struct ShortName {
  std::string_view message;
  std::string_view key;
  std::string_view field;
  Unit unit;
  bool preferred;  // What the writer says.
};

constexpr ShortName kShortNames[] = {
    {"Resources", "cpu", "cpu_millis", Unit::kCpu, true},
    {"Resources", "memory", "memory_bytes", Unit::kBytes, true},
    {"Resources", "memory_bytes", "memory_bytes", Unit::kBytes, false},
};

struct KeyOfMessage {
  std::string_view message;
  std::string_view key;
};

constexpr KeyOfMessage kLater[] = {
    {"AppSpec", "disconnect"},     {"AppSpec", "secrets"},
    {"AppSpec", "files"},          {"AppSpec", "databases"},
    {"AppSpec", "depends_on"},     {"AppSpec", "routes"},
    {"AppSpec", "start_mode"},     {"AppSpec", "ttl"},
    {"AppSpec", "expire_time"},    {"AppSpec", "idle_timeout"},
    {"Runtime", "container"},      {"Runtime", "shared"},
    {"ProcessRuntime", "sandbox"}, {"Checks", "startup"},
    {"Checks", "liveness"},        {"Check", "grpc"},
    {"Environment", "brake"},
};

constexpr KeyOfMessage kOutputOnly[] = {
    {"App", "uid"},
    {"App", "generation"},
    {"App", "create_time"},
    {"App", "update_time"},
    {"App", "delete_time"},
    {"App", "purge_time"},
    {"App", "status"},
    {"Environment", "uid"},
    {"Environment", "create_time"},
    {"Environment", "status"},
    {"Environment", "update_time"},
    {"Node", "uid"},
    {"Node", "environment"},
    {"Node", "desired"},
    {"Node", "create_time"},
    {"Node", "update_time"},
    {"Node", "status"},
    {"Project", "uid"},
    {"Project", "create_time"},
    {"Project", "update_time"},
};

template <class List>
bool Contains(const List& list, const std::string& message, const std::string& key) {
  return std::any_of(std::begin(list), std::end(list), [&](const KeyOfMessage& entry) {
    return entry.message == message && entry.key == key;
  });
}

std::string Upper(const std::string& text) {
  std::string upper = text;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

// For comparing: runState, run-state and run_state are alike.
std::string Plain(const std::string& text) {
  std::string plain;
  for (const char c : Upper(text)) {
    if (c != '_' && c != '-' && c != ' ') plain += c;
  }
  return plain;
}

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<KeyMeaning> MeaningOfKey(const Descriptor& type, const std::string& key) {
  for (const ShortName& name : kShortNames) {
    if (name.message == type.name() && name.key == key) {
      return KeyMeaning{type.FindFieldByName(std::string(name.field)), name.unit};
    }
  }
  const FieldDescriptor* field = type.FindFieldByName(key);
  if (field == nullptr) return std::nullopt;
  return KeyMeaning{field, Unit::kNone};
}

std::string KeyOfField(const FieldDescriptor& field) {
  for (const ShortName& name : kShortNames) {
    if (name.preferred && name.message == field.containing_type()->name() &&
        name.field == field.name()) {
      return std::string(name.key);
    }
  }
  return field.name();
}

std::vector<std::string> KeysOf(const Descriptor& type) {
  std::vector<std::string> keys;
  for (int i = 0; i < type.field_count(); ++i) {
    if (!IsOutputOnly(*type.field(i))) keys.push_back(KeyOfField(*type.field(i)));
  }
  if (IsArtifactFile(type, kArtifactFileKey)) keys.emplace_back(kArtifactFileKey);
  return keys;
}

bool IsOutputOnly(const FieldDescriptor& field) {
  return Contains(kOutputOnly, field.containing_type()->name(), field.name());
}

bool IsLaterKey(const Descriptor& type, const std::string& key) {
  return Contains(kLater, type.name(), key);
}

bool IsLaterKind(const std::string& kind) { return kind == "Secret" || kind == "DatabaseServer"; }

const FieldDescriptor* FieldOfScalar(const Descriptor& type) {
  return type.name() == "Data" ? type.FindFieldByName("kind") : nullptr;
}

bool IsAmount(const Descriptor& type) { return type.name() == "ResourceAmount"; }

bool IsArtifactFile(const Descriptor& type, const std::string& key) {
  return type.name() == "Artifact" && key == kArtifactFileKey;
}

std::string ShortWord(const EnumValueDescriptor& value) {
  // The prefix is the enum's name in UPPER_SNAKE; "unspecified" has it too.
  const std::string prefix = value.type()->value(0)->name();
  const size_t length = prefix.rfind("UNSPECIFIED");
  return length == std::string::npos ? value.name() : value.name().substr(length);
}

const EnumValueDescriptor* FindWord(const EnumDescriptor& type, const std::string& word) {
  const std::string upper = Upper(word);
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor* value = type.value(i);
    if (value->number() == 0) continue;
    if (upper == value->name() || upper == ShortWord(*value)) return value;
  }
  return nullptr;
}

std::vector<std::string> WordsOf(const EnumDescriptor& type) {
  std::vector<std::string> words;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) words.push_back(ShortWord(*type.value(i)));
  }
  return words;
}

std::string NearestWord(const std::string& word, const std::vector<std::string>& allowed) {
  const std::string plain = Plain(word);
  std::string nearest;
  size_t least = std::max<size_t>(1, std::min<size_t>(2, plain.size() / 3)) + 1;
  for (const std::string& candidate : allowed) {
    const size_t distance = EditDistance(plain, Plain(candidate));
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace appsup::cli
