#include "entry/cli/progress.h"

#include "entry/cli/text_table.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr size_t kMaxLine = 110;
constexpr char kEraseLine[] = "\r\x1b[K";

}  // namespace

void ProgressLine::Show(const std::string& text, absl::Duration waited) {
  if (quiet_) return;
  const std::string line = OneLine(text);
  if (is_terminal_) {
    err_ << kEraseLine << Shortened(line, kMaxLine)
         << fmt::format(" ({} s)", absl::ToInt64Seconds(waited)) << std::flush;
    on_line_ = true;
  } else if (line != shown_) {
    err_ << line << "\n" << std::flush;
  }
  shown_ = line;
}

void ProgressLine::Clear() {
  if (on_line_) err_ << kEraseLine << std::flush;
  on_line_ = false;
}

}  // namespace appsup::cli
