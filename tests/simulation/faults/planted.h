#pragma once

#include <string_view>
#include <vector>

#include "planted_names.h"

// Only in programs that are made to break promises: the cores' woven copies ask which fault is on.
namespace appsup::planted {

inline Fault on = kNone;

inline bool Is(Fault fault) { return on == fault; }

struct Row {
  std::string_view name;      // Not copied: what is looked for in the programs that are shipped.
  std::vector<int> promises;  // Any of these is broken.
  int seed = 0;               // The first that found it when it was last looked for; 0: none.
  int within = 0;             // It must be found within so many seeds.
};

// In the order of their numbers.
const std::vector<Row>& Rows();

}  // namespace appsup::planted
