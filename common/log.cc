#include "common/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "common/log_file_sink.h"
#include "fmt/format.h"

namespace appsup {
namespace {

constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

// The one global of the program (style: seams).
struct Sink {
  std::shared_ptr<spdlog::logger> logger;
  std::shared_ptr<LogFileSink> file;  // Null when lines go to standard error.
  LogFormat format = LogFormat::kText;
};

std::shared_ptr<spdlog::logger> MakeLogger(spdlog::sink_ptr sink, const LogOptions& options);

// Replaced only by InitLog, before threads start; never destroyed, so that late threads may log.
Sink& TheSink() {
  static Sink* sink =
      new Sink{MakeLogger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), LogOptions{}), nullptr,
               LogFormat::kText};
  return *sink;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> MakeLogger(spdlog::sink_ptr sink, const LogOptions& options) {
  auto logger = std::make_shared<spdlog::logger>("appsup", std::move(sink));
  logger->set_pattern(options.format == LogFormat::kJson ? kJsonPattern : kTextPattern,
                      spdlog::pattern_time_type::utc);
  logger->set_level(ToSpdlog(options.level));
  logger->flush_on(spdlog::level::debug);
  return logger;
}

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (char c : value) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == '\x7f') {
      return true;
    }
  }
  return false;
}

// The escapes of JSON, which keep a line one line whatever a peer put into a value.
std::string Quoted(std::string_view value) {
  std::string quoted = "\"";
  for (char c : value) {
    switch (c) {
      case '"':
        quoted += "\\\"";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\t':
        quoted += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
          quoted += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          quoted += c;
        }
    }
  }
  return quoted + '"';
}

std::string Format(LogFormat format, std::string_view event, std::span<const LogField> fields) {
  const bool json = format == LogFormat::kJson;
  std::string line = json ? R"("event":)" + Quoted(event) : std::string(event);
  for (const LogField& field : fields) {
    const bool text = field.kind() == LogField::Kind::kText;
    if (json) {
      line += ',' + Quoted(field.key()) + ':' + (text ? Quoted(field.value()) : field.value());
    } else {
      line += ' ' + field.key() + '=' +
              (text && NeedsQuotes(field.value()) ? Quoted(field.value()) : field.value());
    }
  }
  return line;
}

}  // namespace

LogField::LogField(std::string_view key, std::string value, Kind kind)
    : key_(key), value_(std::move(value)), kind_(kind) {}
LogField::LogField(std::string_view key, std::string value)
    : LogField(key, std::move(value), Kind::kText) {}
LogField::LogField(std::string_view key, bool value)
    : LogField(key, value ? "true" : "false", Kind::kBool) {}
LogField::LogField(std::string_view key, double value)
    : LogField(key, fmt::format("{}", value), Kind::kNumber) {}
LogField::LogField(std::string_view key, const absl::Status& value)
    : LogField(key, value.ToString(absl::StatusToStringMode::kWithNoExtraData), Kind::kText) {}
LogField::LogField(std::string_view key, absl::Duration value)
    : LogField(key, absl::FormatDuration(value), Kind::kText) {}

std::string FormatLogLine(LogFormat format, std::string_view event,
                          std::initializer_list<LogField> fields) {
  return Format(format, event, std::span(fields.begin(), fields.size()));
}

absl::Status InitLog(const LogOptions& options) {
  Sink sink;
  sink.format = options.format;
  if (options.file.empty()) {
    sink.logger = MakeLogger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), options);
  } else {
    sink.file = std::make_shared<LogFileSink>(options.file);
    absl::Status opened = sink.file->Open();
    if (!opened.ok()) return opened;
    sink.logger = MakeLogger(sink.file, options);
  }
  TheSink() = std::move(sink);
  return absl::OkStatus();
}

absl::Status ReopenLog() {
  std::shared_ptr<LogFileSink> file = TheSink().file;
  return file == nullptr ? absl::OkStatus() : file->Open();
}

bool LogEnabled(LogLevel level) { return TheSink().logger->should_log(ToSpdlog(level)); }

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  LogFields(level, event, std::span(fields.begin(), fields.size()));
}

void LogFields(LogLevel level, std::string_view event, std::span<const LogField> fields) {
  Sink& sink = TheSink();
  if (!sink.logger->should_log(ToSpdlog(level))) return;
  std::string line = Format(sink.format, event, fields);
  sink.logger->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace appsup
