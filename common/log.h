#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/secret.h"

namespace appsup {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

struct LogOptions {
  LogFormat format = LogFormat::kText;
  LogLevel level = LogLevel::kInfo;
  std::string file;  // Empty: standard error. Else opened for append, mode 0640.
};

// One `key=value` of a line. Keys are lower_snake; ids always use the same ones: node, session,
// app, instance, op. A Secret does not compile.
class LogField {
 public:
  enum class Kind { kText, kNumber, kBool };

  LogField(std::string_view key, std::string_view value) : LogField(key, std::string(value)) {}
  LogField(std::string_view key, std::string value);
  LogField(std::string_view key, const char* value) : LogField(key, std::string(value)) {}
  LogField(std::string_view key, bool value);
  template <std::integral T>
  LogField(std::string_view key, T value) : LogField(key, std::to_string(value), Kind::kNumber) {}
  LogField(std::string_view key, double value);
  LogField(std::string_view key, const absl::Status& value);
  LogField(std::string_view key, absl::Duration value);
  LogField(std::string_view key, const Secret& value) = delete;

  const std::string& key() const { return key_; }
  const std::string& value() const { return value_; }
  Kind kind() const { return kind_; }

 private:
  LogField(std::string_view key, std::string value, Kind kind);

  std::string key_;
  std::string value_;
  Kind kind_;
};

// Sets the process-wide sink. Before it, lines of level info and above go to standard error as
// text. Call it once in main, before threads start. Fails if the file cannot be opened.
absl::Status InitLog(const LogOptions& options);

// Opens the log file anew, after logrotate moved it away. Thread-safe; nothing without a file.
absl::Status ReopenLog();

// One line: `2026-01-31T12:00:00.000Z info node-joined node=eu-1 session=7`. `event` is a
// kebab-case word. One line per transition; nothing per message above debug. Thread-safe.
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});
// The same where the fields are only known while running.
void LogFields(LogLevel level, std::string_view event, std::span<const LogField> fields);

// To skip the making of costly fields.
bool LogEnabled(LogLevel level);

// Everything after the time and level, as Log writes it. Exposed for tests of the form.
std::string FormatLogLine(LogFormat format, std::string_view event,
                          std::initializer_list<LogField> fields);

}  // namespace appsup
