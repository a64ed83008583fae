#include "agent/keeper/report.h"

#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "agent/keeper/clock.h"

namespace appsup::keeper {
namespace {

// Values with a space, a quote or a control character are quoted, so that a line stays a line.
void AppendValue(const std::string& value, std::string& line) {
  bool plain = !value.empty();
  for (char c : value) plain = plain && c > ' ' && c != '"' && c != '=' && c != '\\' && c != 127;
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ' || c == 127) {
      line += '?';
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

void Report(const char* level, const char* event,
            std::initializer_list<std::pair<const char*, std::string>> fields) {
  int64_t now = UnixNanos();
  time_t seconds = now / 1'000'000'000;
  tm parts;
  gmtime_r(&seconds, &parts);
  char time[64];
  size_t used = strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(time + used, sizeof(time) - used, ".%03dZ", static_cast<int>(now / 1'000'000 % 1000));
  std::string line = time;
  line.append(" ").append(level).append(" ").append(event);
  for (const auto& [key, value] : fields) {
    line.append(" ").append(key).append("=");
    AppendValue(value, line);
  }
  line += '\n';
  [[maybe_unused]] ssize_t ignored = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace appsup::keeper
