#include "common/config_reader.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "common/config_report.h"
#include "common/file.h"
#include "common/status.h"
#include "common/text_units.h"
#include "common/yaml_documents.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace appsup {
namespace {

constexpr size_t kMaxConfigBytes = size_t{1} << 20;
constexpr char kUnsafeKey[] = "unsafe";

std::string KindOf(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return "nothing";
    case YAML::NodeType::Scalar:
      return fmt::format("\"{}\"", node.Scalar());
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a mapping";
  }
  return "something unknown";
}

template <class Number>
absl::StatusOr<Number> ParseNumber(std::string_view text) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return absl::InvalidArgumentError("not a number");
}

}  // namespace

struct ConfigSection::Impl {
  ConfigReport& report;
  YAML::Node node;   // A mapping, or nothing.
  std::string path;  // "link.tls"; "" is the top level.
  std::vector<std::string> named_keys = {};

  std::string PathOf(std::string_view key) const {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }

  void Note(const YAML::Mark& mark, std::string_view key, std::string what) {
    report.Add(mark.line, mark.column, PathOf(key), std::move(what));
  }

  void NoteWrong(const YAML::Node& value, std::string_view key, std::string_view allowed) {
    Note(value.Mark(), key, fmt::format("{} must be {}, is {}", key, allowed, KindOf(value)));
  }

  // The value of a key, and notes that the key is one of ours. Nothing if it is absent.
  std::optional<YAML::Node> Take(std::string_view key) {
    named_keys.emplace_back(key);
    return Find(key);
  }

  std::optional<YAML::Node> Find(std::string_view key) const {
    if (!node.IsMap()) return std::nullopt;
    for (const auto& entry : node) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
    }
    return std::nullopt;
  }

  // Take, for values that are one text. Notes another kind as wrong.
  std::optional<YAML::Node> TakeScalar(std::string_view key, std::string_view allowed) {
    std::optional<YAML::Node> value = Take(key);
    if (!value.has_value() || value->IsScalar()) return value;
    NoteWrong(*value, key, allowed);
    return std::nullopt;
  }

  // Sets `target` only if the value can be parsed and lies in the range; else notes it as wrong.
  template <class T, class Parse>
  bool TakeInRange(std::string_view key, const std::string& allowed, Parse parse, T min, T max,
                   T* target) {
    std::optional<YAML::Node> value = TakeScalar(key, allowed);
    if (!value.has_value()) return false;
    absl::StatusOr<T> parsed = parse(value->Scalar());
    if (parsed.ok() && *parsed >= min && *parsed <= max) {
      *target = *parsed;
      return true;
    }
    NoteWrong(*value, key, allowed);
    return false;
  }

  void BindMapping(const Bind& bind) {
    NoteDuplicates();
    ConfigSection section(*this);
    bind(section);
    NoteUnknown();
  }

  void NoteDuplicates() {
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        Note(entry.first.Mark(), "?", "a key must be a plain word, is " + KindOf(entry.first));
      } else if (!seen.insert(entry.first.Scalar()).second) {
        Note(entry.first.Mark(), entry.first.Scalar(),
             fmt::format("key {} is given twice; keep one", entry.first.Scalar()));
      }
    }
  }

  void NoteUnknown() {
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) continue;
      const std::string& key = entry.first.Scalar();
      if (std::find(named_keys.begin(), named_keys.end(), key) != named_keys.end()) continue;
      Note(entry.first.Mark(), key,
           fmt::format("unknown key {}; allowed here: {}", key, fmt::join(AllowedKeys(), ", ")));
    }
  }

  std::set<std::string> AllowedKeys() const {
    std::set<std::string> allowed(named_keys.begin(), named_keys.end());
    if (path.empty() && !report.options().allow_unsafe) allowed.erase(kUnsafeKey);
    return allowed;
  }
};

void ConfigSection::String(std::string_view key, std::string* target) {
  if (auto value = impl_.TakeScalar(key, "a text")) *target = value->Scalar();
}

void ConfigSection::Bool(std::string_view key, bool* target) {
  auto value = impl_.TakeScalar(key, "true or false");
  if (!value.has_value()) return;
  if (value->Scalar() == "true" || value->Scalar() == "false") {
    *target = value->Scalar() == "true";
  } else {
    impl_.NoteWrong(*value, key, "true or false");
  }
}

bool ConfigSection::Int64(std::string_view key, int64_t min, int64_t max, int64_t* number) {
  return impl_.TakeInRange(key, fmt::format("a whole number from {} to {}", min, max),
                           ParseNumber<int64_t>, min, max, number);
}

void ConfigSection::Double(std::string_view key, double* target, double min, double max) {
  impl_.TakeInRange(key, fmt::format("a number from {} to {}", min, max), ParseNumber<double>, min,
                    max, target);
}

void ConfigSection::Duration(std::string_view key, absl::Duration* target, absl::Duration min,
                             absl::Duration max) {
  const std::string allowed =
      max == absl::InfiniteDuration()
          ? fmt::format("a duration of at least {}, such as \"90s\" or \"1h30m\"",
                        absl::FormatDuration(min))
          : fmt::format("a duration from {} to {}", absl::FormatDuration(min),
                        absl::FormatDuration(max));
  impl_.TakeInRange(key, allowed, ParseDuration, min, max, target);
}

void ConfigSection::Bytes(std::string_view key, int64_t* target, int64_t min, int64_t max) {
  const std::string allowed =
      max == std::numeric_limits<int64_t>::max()
          ? fmt::format("a size of at least {}, such as \"50MiB\"", FormatBytes(min))
          : fmt::format("a size from {} to {}", FormatBytes(min), FormatBytes(max));
  impl_.TakeInRange(key, allowed, ParseBytes, min, max, target);
}

bool ConfigSection::Word(std::string_view key, const std::vector<std::string>& names,
                         size_t* index) {
  const std::string allowed = fmt::format("one of {}", fmt::join(names, ", "));
  auto value = impl_.TakeScalar(key, allowed);
  if (!value.has_value()) return false;
  auto found = std::find(names.begin(), names.end(), value->Scalar());
  if (found == names.end()) {
    impl_.NoteWrong(*value, key, allowed);
    return false;
  }
  *index = static_cast<size_t>(found - names.begin());
  return true;
}

void ConfigSection::StringList(std::string_view key, std::vector<std::string>* target) {
  std::optional<YAML::Node> value = impl_.Take(key);
  if (!value.has_value()) return;
  if (!value->IsSequence()) return impl_.NoteWrong(*value, key, "a list of texts");
  std::vector<std::string> texts;
  for (const YAML::Node& element : *value) {
    if (element.IsScalar()) {
      texts.push_back(element.Scalar());
    } else {
      impl_.NoteWrong(element, fmt::format("{}[{}]", key, texts.size()), "a text");
    }
  }
  *target = std::move(texts);
}

void ConfigSection::StringMap(std::string_view key,
                              std::vector<std::pair<std::string, std::string>>* target) {
  std::optional<YAML::Node> value = impl_.Take(key);
  if (!value.has_value()) return;
  if (!value->IsMap()) return impl_.NoteWrong(*value, key, "a mapping of texts");
  Impl map{impl_.report, *value, impl_.PathOf(key)};
  map.NoteDuplicates();
  std::vector<std::pair<std::string, std::string>> texts;
  for (const auto& entry : *value) {
    if (!entry.first.IsScalar()) continue;
    if (entry.second.IsScalar()) {
      texts.emplace_back(entry.first.Scalar(), entry.second.Scalar());
    } else {
      map.NoteWrong(entry.second, entry.first.Scalar(), "a text");
    }
  }
  *target = std::move(texts);
}

void ConfigSection::Section(std::string_view key, const Bind& bind) {
  std::optional<YAML::Node> value = impl_.Take(key);
  if (value.has_value() && impl_.path.empty() && key == kUnsafeKey &&
      !impl_.report.options().allow_unsafe) {
    impl_.Note(value->Mark(), key,
               "the section unsafe is only for tests and is refused without the flag --unsafe");
    return;
  }
  if (value.has_value() && !value->IsMap() && !value->IsNull()) {
    return impl_.NoteWrong(*value, key, "a mapping");
  }
  Impl inner{impl_.report, value.value_or(YAML::Node()), impl_.PathOf(key)};
  inner.BindMapping(bind);
}

void ConfigSection::List(std::string_view key, const Bind& bind) {
  std::optional<YAML::Node> value = impl_.Take(key);
  if (!value.has_value() || value->IsNull()) return;
  if (!value->IsSequence()) return impl_.NoteWrong(*value, key, "a list of mappings");
  size_t index = 0;
  for (const YAML::Node& element : *value) {
    const std::string name = fmt::format("{}[{}]", key, index++);
    if (!element.IsMap()) {
      impl_.NoteWrong(element, name, "a mapping");
      continue;
    }
    Impl inner{impl_.report, element, impl_.PathOf(name)};
    inner.BindMapping(bind);
  }
}

void ConfigSection::Require(std::string_view key) {
  if (Has(key)) return;
  impl_.Note(impl_.node.Mark(), key, fmt::format("key {} is missing and has no default", key));
}

bool ConfigSection::Has(std::string_view key) const { return impl_.Find(key).has_value(); }

void ConfigSection::Refuse(std::string_view key, std::string_view why) {
  std::optional<YAML::Node> value = impl_.Find(key);
  impl_.Note(value.has_value() ? value->Mark() : impl_.node.Mark(), key,
             fmt::format("{} {}", key, why));
}

absl::Status BindConfigText(const std::string& name, const std::string& text,
                            const ConfigOptions& options, const ConfigSection::Bind& bind) {
  ConfigReport report(name, options);
  // The one place where yaml-cpp's exceptions end.
  try {
    std::vector<YAML::Node> documents = LoadYamlDocuments(text);
    YAML::Node top = documents.empty() ? YAML::Node() : documents.front();
    if (documents.size() > 1) {
      report.Add(documents[1].Mark().line, documents[1].Mark().column, "",
                 "a second document begins here; a config file holds one");
    }
    if (!top.IsMap() && !top.IsNull()) {
      report.Add(top.Mark().line, top.Mark().column, "",
                 "the file must be a mapping of keys to values, is " + KindOf(top));
      return report.ToStatus();
    }
    ConfigSection::Impl impl{report, top, ""};
    impl.BindMapping(bind);
  } catch (const YAML::Exception& error) {
    report.Add(error.mark.line, error.mark.column, "", "not valid YAML: " + error.msg);
  }
  return report.ToStatus();
}

absl::Status BindConfigFile(const std::string& path, const ConfigOptions& options,
                            const ConfigSection::Bind& bind) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxConfigBytes);
  if (!text.ok()) return Annotate(text.status(), "config file");
  return BindConfigText(path, *text, options, bind);
}

}  // namespace appsup
