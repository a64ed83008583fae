// Agents for measurements that need a whole entry: real links and cores, processes in memory.
//   fleet_bench enroll SOCKET LINK DIR ENVIRONMENT PREFIX COUNT   makes nodes; identities go to DIR
//   fleet_bench agents LINK DIR PREFIX FIRST COUNT                these nodes' agents
// The second one prints "ready" and then answers each line of its standard input with a line of
// JSON (support/fleet.h says what is in it): figures | mark | leave | join | await SECONDS. "mark"
// begins to count anew, "await" waits until all are back since. It ends with its input.
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "common/rpc/process.h"
#include "fmt/format.h"
#include "tests/bench/support/fleet.h"
#include "tests/bench/support/nodes.h"

namespace appsup::bench {
namespace {

void Obey(Fleet& fleet, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  double seconds = 0;
  words >> command >> seconds;
  if (command == "mark") {
    fleet.Mark();
  } else if (command == "leave") {
    fleet.Leave();
  } else if (command == "join") {
    fleet.Join();
  } else if (command == "await") {
    fleet.AwaitBack(absl::Seconds(seconds));
  }
  Print(fleet.figures());
}

int Main(const std::vector<std::string>& args) {
  if (args.size() == 7 && args[0] == "enroll") {
    EnrollNodes({args[1], args[2], args[3], args[4], args[5], std::stoi(args[6])});
  } else if (args.size() == 6 && args[0] == "agents") {
    Fleet fleet({args[1], args[2], args[3], std::stoi(args[4]), std::stoi(args[5])}, nullptr);
    fmt::print("ready\n");
    std::fflush(stdout);
    std::string line;
    while (std::getline(std::cin, line)) Obey(fleet, line);
  } else {
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace appsup::bench

int main(int argc, char** argv) {
  appsup::rpc::PrepareProcess();
  return appsup::bench::Main(std::vector<std::string>(argv + 1, argv + argc));
}
