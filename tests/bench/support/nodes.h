#pragma once

#include <string>

namespace appsup::bench {

// "bench-7".
std::string NodeId(const std::string& prefix, int number);

struct NodesToEnroll {
  std::string socket;       // Of the entry's API.
  std::string link;         // HOST:PORT for the agents.
  std::string dir;          // Identities go to DIR/NODE.
  std::string environment;  // Must exist.
  std::string prefix = "bench";
  int count = 0;
};

// Makes nodes of an entry through its API, as an operator and `appsup-agent enroll` do.
void EnrollNodes(const NodesToEnroll& nodes);

}  // namespace appsup::bench
