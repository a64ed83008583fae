#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace appsup {

struct ConfigOptions {
  bool allow_unsafe = false;  // Is the top-level section `unsafe:` accepted (flag --unsafe)?
};

// One mapping of a YAML file while it is bound to a struct. Each call names a key; an absent key
// leaves the target (its default) alone, and what is wrong with a present one is noted, never
// thrown. Keys that nobody named are errors at the end. Only lives within the bind function.
class ConfigSection {
 public:
  struct Impl;
  using Bind = std::function<void(ConfigSection&)>;

  explicit ConfigSection(Impl& impl) : impl_(impl) {}

  void String(std::string_view key, std::string* target);
  void Bool(std::string_view key, bool* target);
  template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void Int(std::string_view key,
                                                                       T* target, int64_t min,
                                                                       int64_t max) {
    if (int64_t value; Int64(key, min, max, &value)) *target = static_cast<T>(value);
  }
  void Double(std::string_view key, double* target, double min, double max);
  // "5s", "10m" (text_units.h).
  void Duration(std::string_view key, absl::Duration* target, absl::Duration min = {},
                absl::Duration max = absl::InfiniteDuration());
  // "50MiB" (text_units.h).
  void Bytes(std::string_view key, int64_t* target, int64_t min = 0,
             int64_t max = std::numeric_limits<int64_t>::max());
  void StringList(std::string_view key, std::vector<std::string>* target);
  // A mapping from free keys to texts: labels and the like.
  void StringMap(std::string_view key, std::vector<std::pair<std::string, std::string>>* target);
  template <class E>
  void Enum(std::string_view key, E* target, const std::vector<std::pair<std::string, E>>& words) {
    std::vector<std::string> names;
    for (const auto& [name, value] : words) names.push_back(name);
    if (size_t index; Word(key, names, &index)) *target = words[index].second;
  }

  // A nested mapping; `bind` also runs if it is absent, and then finds no key.
  void Section(std::string_view key, const Bind& bind);
  // A list of mappings; `bind` runs once for each.
  void List(std::string_view key, const Bind& bind);

  // The key must be there. Comes before or after the call that reads it.
  void Require(std::string_view key);
  bool Has(std::string_view key) const;
  // Notes an error of the caller's own at the place of `key`: "must not lie below root_dir".
  void Refuse(std::string_view key, std::string_view why);

 private:
  bool Int64(std::string_view key, int64_t min, int64_t max, int64_t* value);
  bool Word(std::string_view key, const std::vector<std::string>& names, size_t* index);

  Impl& impl_;
};

// Reads YAML and calls `bind` for the top level. Wrong syntax, unknown or duplicate keys, wrong
// types and values out of range are collected, all of them, into one INVALID_ARGUMENT (reason
// CONFIG_INVALID): a line `file:line:column: what; what is allowed` each, and a field violation
// each. With an error the bound struct is half filled: use ReadConfig, which drops it.
absl::Status BindConfigText(const std::string& name, const std::string& text,
                            const ConfigOptions& options, const ConfigSection::Bind& bind);
absl::Status BindConfigFile(const std::string& path, const ConfigOptions& options,
                            const ConfigSection::Bind& bind);

// ReadConfig<EntryConfig>("entry.yaml", {}, [](ConfigSection& s, EntryConfig& c) {
//   s.String("root_dir", &c.root_dir);
//   s.Section("link", [&](ConfigSection& link) { link.Duration("lease", &c.lease); }); });
template <class Config, class BindTo>
absl::StatusOr<Config> ReadConfig(const std::string& path, const ConfigOptions& options,
                                  BindTo bind) {
  Config config;
  absl::Status status =
      BindConfigFile(path, options, [&](ConfigSection& section) { bind(section, config); });
  if (!status.ok()) return status;
  return config;
}

}  // namespace appsup
