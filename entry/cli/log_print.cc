#include "entry/cli/log_print.h"

#include <algorithm>

#include "entry/cli/names.h"
#include "fmt/format.h"

namespace appsup::cli {

void LogPrinter::Print(const appsupervisor::v1::TailLogsResponse& piece) {
  const std::string instance = IdOf(piece.instance());
  if (!piece.notice().empty()) {
    err_ << fmt::format("[{}] {}\n", instance, piece.notice()) << std::flush;
  }
  if (piece.data().empty()) return;
  const std::string key =
      fmt::format("{} {} {}", piece.instance(), piece.attempt(), static_cast<int>(piece.stream()));
  const auto [found, is_new] = positions_.emplace(key, Position{piece.offset(), false});
  Position& position = found->second;
  const int64_t end = piece.offset() + static_cast<int64_t>(piece.data().size());
  if (end <= position.next_offset) return;
  const int64_t known = std::max<int64_t>(0, position.next_offset - piece.offset());
  const int64_t missing = is_new ? piece.skipped() : piece.offset() - position.next_offset;
  if (missing > 0) {
    err_ << fmt::format("[{}] {} bytes are not kept any more\n", instance, missing) << std::flush;
  }
  PrintLines(instance, piece.data().substr(static_cast<size_t>(known)), &position);
  position.next_offset = end;
}

void LogPrinter::PrintLines(const std::string& instance, const std::string& data,
                            Position* position) {
  for (size_t begin = 0; begin < data.size();) {
    const size_t end = std::min(data.find('\n', begin), data.size() - 1) + 1;
    if (prefix_ && !position->in_line) out_ << "[" << instance << "] ";
    out_.write(data.data() + begin, static_cast<std::streamsize>(end - begin));
    position->in_line = data[end - 1] != '\n';
    begin = end;
  }
  out_ << std::flush;
}

}  // namespace appsup::cli
