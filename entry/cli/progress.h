#pragma once

#include <ostream>
#include <string>

#include "absl/time/time.h"

namespace appsup::cli {

// How a wait goes on, on standard error: one line that is rewritten on a terminal, else a line for
// each change.
class ProgressLine {
 public:
  ProgressLine(std::ostream& err, bool is_terminal, size_t width, bool quiet)
      : err_(err), is_terminal_(is_terminal), width_(width), quiet_(quiet) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `waited` is only shown on a terminal.
  void Show(const std::string& text, absl::Duration waited);

  // Takes the line away, so that something else can be printed.
  void Clear();

 private:
  std::ostream& err_;
  const bool is_terminal_;
  const size_t width_;  // Of the terminal; 0: not known.
  const bool quiet_;
  std::string shown_;
  bool on_line_ = false;
};

}  // namespace appsup::cli
