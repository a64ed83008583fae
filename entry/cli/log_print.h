#pragma once

#include <map>
#include <ostream>
#include <string>

#include "appsupervisor/v1/app_service.pb.h"

namespace appsup::cli {

// Puts pieces of logs on the screen line by line, each headed by its instance once there are
// several, and knows how far each stream has come, so that what is sent again after a break is not
// repeated.
class LogPrinter {
 public:
  LogPrinter(std::ostream& out, std::ostream& err, bool prefix)
      : out_(out), err_(err), prefix_(prefix) {}

  void Print(const appsupervisor::v1::TailLogsResponse& piece);

 private:
  struct Position {
    int64_t next_offset = 0;
    bool in_line = false;  // The last piece ended within a line.
  };

  void PrintLines(const std::string& instance, const std::string& data, Position* position);

  std::ostream& out_;
  std::ostream& err_;
  const bool prefix_;
  // By instance, attempt and stream.
  std::map<std::string, Position> positions_;
};

}  // namespace appsup::cli
