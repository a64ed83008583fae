#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace appsup::cli {

// A place in a manifest; lines and columns count from 1, 0 means the file as a whole.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;

  std::string Text() const;  // "apps/crm.yaml:12:3"
};

// Collects what is wrong with the manifests of one command, so that all of it is told at once.
class ManifestFaults {
 public:
  void Add(Place place, std::string what);

  bool empty() const { return faults_.empty(); }

  // OK, or INVALID_ARGUMENT (reason MANIFEST_INVALID): a line "file:line:column: what" each, in the
  // order of the files and by place in them; and a violation each.
  absl::Status ToStatus() const;

 private:
  struct Fault {
    size_t file_order;
    Place place;
    std::string what;
  };
  std::vector<std::string> files_;  // In the order of their first fault.
  std::vector<Fault> faults_;
};

}  // namespace appsup::cli
