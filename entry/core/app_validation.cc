#include "entry/core/app_validation.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/resource_name.h"
#include "entry/core/proto_time.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxLabelLength = 63;
constexpr size_t kMaxAnnotationBytes = 64 << 10;
constexpr size_t kMaxDisplayName = 200;
constexpr size_t kMaxDescription = 4000;
constexpr size_t kMaxIcon = 32 << 10;
constexpr int kMaxEnvironments = 100;
constexpr size_t kMaxCommandBytes = 2'000'000;
constexpr int32_t kMaxReplicas = 1000;

constexpr char kNoControl[] = "must not contain control characters";
constexpr char kOnlyLines[] = "must not contain control characters other than line ends and tabs";

// Characters, not bytes.
size_t Length(const std::string& text) {
  size_t characters = 0;
  for (char c : text) characters += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return characters;
}

void ValidateLength(const std::string& path, const std::string& text, size_t max_characters,
                    Violations& violations) {
  const size_t length = Length(text);
  if (length > max_characters) {
    violations.Add(
        path, fmt::format("has {} characters; at most {} are allowed", length, max_characters));
  }
}

bool Allows(const api::Environment& environment, const std::string& project) {
  const auto& allowed = environment.allowed_projects();
  return allowed.empty() || std::find(allowed.begin(), allowed.end(), project) != allowed.end();
}

void ValidateAnnotations(const std::string& path,
                         const google::protobuf::Map<std::string, std::string>& annotations,
                         Violations& violations) {
  size_t bytes = 0;
  std::map<std::string, std::string> ordered(annotations.begin(), annotations.end());
  for (const auto& [key, value] : ordered) {
    bytes += key.size() + value.size();
    if (HasControl(key)) {
      violations.Add(path, fmt::format("key {} {}", Quoted(key), kNoControl));
    } else if (HasControl(value, true)) {
      violations.Add(path, fmt::format("the value of {} {}", Quoted(key), kOnlyLines));
    }
  }
  if (bytes > kMaxAnnotationBytes) {
    violations.Add(path, fmt::format("have {} bytes together; at most {} are allowed", bytes,
                                     kMaxAnnotationBytes));
  }
}

void ValidateNamedEnvironments(const Catalog& catalog, const std::string& path,
                               const api::Placement& placement, const std::string& project,
                               Violations& violations) {
  std::set<std::string> seen;
  for (int at = 0; at < placement.environments_size(); ++at) {
    const std::string& id = placement.environments(at);
    const std::string field = fmt::format("{}.environments[{}]", path, at);
    if (!seen.insert(id).second) violations.Add(field, Quoted(id) + " is named twice");
    const rec::EnvironmentRecord* record =
        IsValidId(id) ? catalog.environments.Find("environments/" + id) : nullptr;
    if (record == nullptr) {
      violations.Add(field, "there is no environment " + Quoted(id));
    } else if (!Allows(record->environment(), project)) {
      violations.Add(field, fmt::format("environment {} does not allow project {}", id, project));
    }
  }
}

}  // namespace

bool HasControl(const std::string& text, bool lines) {
  for (size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (lines && (byte == '\n' || byte == '\r' || byte == '\t')) continue;
    if (byte < 0x20 || byte == 0x7f) return true;
    // U+0080 to U+009F.
    if (byte == 0xc2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xa0) {
      return true;
    }
  }
  return false;
}

void ValidateText(const std::string& path, const std::string& text, size_t max_characters,
                  Violations& violations) {
  ValidateLength(path, text, max_characters, violations);
  if (HasControl(text)) violations.Add(path, kNoControl);
}

void ValidateLongText(const std::string& path, const std::string& text, size_t max_characters,
                      Violations& violations) {
  ValidateLength(path, text, max_characters, violations);
  if (HasControl(text, true)) violations.Add(path, kOnlyLines);
}

void ValidateLabels(const std::string& path,
                    const google::protobuf::Map<std::string, std::string>& labels,
                    Violations& violations) {
  if (labels.size() > kMaxLabels) {
    violations.Add(path,
                   fmt::format("has {} labels; at most {} are allowed", labels.size(), kMaxLabels));
  }
  // In a fixed order, whatever the map's.
  std::map<std::string, std::string> ordered(labels.begin(), labels.end());
  for (const auto& [key, value] : ordered) {
    if (key.empty() || Length(key) > kMaxLabelLength) {
      violations.Add(
          path, fmt::format("key {} must have 1 to {} characters", Quoted(key), kMaxLabelLength));
    } else if (HasControl(key)) {
      violations.Add(path, fmt::format("key {} {}", Quoted(key), kNoControl));
    } else {
      ValidateText(path + "." + key, value, kMaxLabelLength, violations);
    }
  }
}

void ValidateReplicas(const std::string& path, int32_t replicas, Violations& violations) {
  if (replicas < 0 || replicas > kMaxReplicas) {
    violations.Add(path, fmt::format("is {}; must be from 0 to {}", replicas, kMaxReplicas));
  }
}

void ValidateCommand(const std::string& path,
                     const google::protobuf::RepeatedPtrField<std::string>& command,
                     Violations& violations) {
  if (command.empty() || command[0].empty()) {
    violations.Add(path, "is required: the program and its arguments");
    return;
  }
  size_t bytes = 0;
  for (int at = 0; at < command.size(); ++at) {
    bytes += command[at].size() + 1;
    if (command[at].find('\0') != std::string::npos) {
      violations.Add(fmt::format("{}[{}]", path, at), "must not contain a NUL");
    }
  }
  if (bytes > kMaxCommandBytes) {
    violations.Add(path, fmt::format("has {} bytes together; at most {} are allowed", bytes,
                                     kMaxCommandBytes));
  }
}

void ValidateDuration(const std::string& path, bool is_set,
                      const google::protobuf::Duration& duration, absl::Duration least,
                      absl::Duration most, Violations& violations) {
  if (!is_set) return;
  const absl::Duration value = FromProtoDuration(duration);
  if (value < least || value > most) {
    violations.Add(path, fmt::format("is {}; must be from {} to {}", absl::FormatDuration(value),
                                     absl::FormatDuration(least), absl::FormatDuration(most)));
  }
}

void ValidateApp(const std::string& path, const api::App& app, Violations& violations) {
  ValidateText(path + ".display_name", app.display_name(), kMaxDisplayName, violations);
  ValidateLongText(path + ".description", app.description(), kMaxDescription, violations);
  if (app.icon().size() > kMaxIcon) {
    violations.Add(path + ".icon", fmt::format("has {} bytes; at most {} are allowed",
                                               app.icon().size(), kMaxIcon));
  }
  if (HasControl(app.icon(), true)) violations.Add(path + ".icon", kOnlyLines);
  ValidateLabels(path + ".labels", app.labels(), violations);
  ValidateAnnotations(path + ".annotations", app.annotations(), violations);
  ValidateSpec(path + ".spec", app.spec(), violations);
}

void ValidatePlacement(const Catalog& catalog, const std::string& path, const api::App& app,
                       const std::string& project, Violations& violations) {
  const std::string field = path + ".spec.placement";
  const api::Placement& placement = app.spec().placement();
  if (placement.environments_size() > kMaxEnvironments) {
    violations.Add(field + ".environments",
                   fmt::format("names {} environments; at most {} are allowed",
                               placement.environments_size(), kMaxEnvironments));
    return;
  }
  if (!placement.environments().empty()) {
    ValidateNamedEnvironments(catalog, field, placement, project, violations);
    return;
  }
  std::string allowed;
  int count = 0;
  for (const auto& [name, record] : catalog.environments.rows()) {
    if (!Allows(record.environment(), project)) continue;
    allowed += (count++ == 0 ? "" : ", ") + IdOf(name);
  }
  if (count > 1) {
    violations.Add(field + ".environments",
                   fmt::format("is required, as project {} may use {} environments: name some of "
                               "{}",
                               project, count, allowed));
  }
}

}  // namespace appsup::entry
