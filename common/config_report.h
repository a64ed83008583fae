#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/config_reader.h"

namespace appsup {

// Collects what is wrong with one config file. Used by config_reader.cc only.
class ConfigReport {
 public:
  ConfigReport(std::string file, ConfigOptions options)
      : file_(std::move(file)), options_(options) {}

  // `line` and `column` count from 0, as yaml-cpp does; negative: the file as a whole.
  void Add(int line, int column, std::string key_path, std::string what);

  // OK if nothing was added. Else all of it, by place in the file.
  absl::Status ToStatus() const;

  const ConfigOptions& options() const { return options_; }

 private:
  struct Fault {
    int line;
    int column;
    std::string key_path;
    std::string what;
  };

  std::string file_;
  ConfigOptions options_;
  std::vector<Fault> faults_;
};

}  // namespace appsup
