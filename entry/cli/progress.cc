#include "entry/cli/progress.h"

#include "entry/cli/text_table.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr size_t kUsualWidth = 80;
constexpr size_t kForTime = 10;  // " (3600 s)"
constexpr char kEraseLine[] = "\r\x1b[K";

// A line that wraps could not be erased.
size_t Room(size_t width) {
  if (width == 0) width = kUsualWidth;
  return width > 2 * kForTime ? width - kForTime - 1 : kForTime;
}

}  // namespace

void ProgressLine::Show(const std::string& text, absl::Duration waited) {
  if (quiet_) return;
  const std::string line = OneLine(text);
  if (is_terminal_) {
    err_ << kEraseLine << Shortened(line, Room(width_))
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
