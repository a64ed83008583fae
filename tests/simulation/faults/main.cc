// The simulator with planted faults: shows that it finds them.
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_split.h"
#include "tests/simulation/faults/search.h"

namespace appsup::simulation {
namespace {

struct Options {
  std::string fault;
  std::string seeds = "1-3000";
  uint64_t seed = 0;
  bool trace = false;
  bool all = false;
  int jobs = 2;
};

void Print(const char* what, const Outcome& outcome) {
  std::printf("%s seed %llu %s\n", what, static_cast<unsigned long long>(outcome.seed),
              outcome.text.c_str());
  std::fflush(stdout);
}

int RunOne(const Options& options) {
  const RunResult result = Simulation({options.seed, std::nullopt, options.trace}).Run();
  for (const std::string& line : result.trace) std::printf("%s\n", line.c_str());
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(options.seed),
              result.violation ? Describe(*result.violation).c_str() : "all promises kept");
  return result.violation ? 1 : 0;
}

int Find(planted::Fault fault, const Options& options) {
  const std::vector<std::string> ends = absl::StrSplit(options.seeds, '-');
  const auto other = [&](const Outcome& outcome) {
    if (options.all) Print("other", outcome);
  };
  const auto found =
      Search(fault, std::stoull(ends.front()), std::stoull(ends.back()), options.jobs, other);
  if (!found) {
    std::printf("not found\n");
    return 1;
  }
  Print("found", *found);
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app("Simulates the system with a fault planted into it, until a promise breaks.");
  Options options;
  bool list = false;
  app.add_flag("--list", list, "name the faults");
  app.add_option("--fault", options.fault, "switch this one on");
  app.add_option("--seeds", options.seeds, "look for it with these, as 1-3000");
  auto* seed = app.add_option("--seed", options.seed, "run this seed only");
  app.add_flag("--trace", options.trace, "print what happens")->needs(seed);
  app.add_flag("--all", options.all, "name other broken promises on the way");
  app.add_option("--jobs", options.jobs, "processes")->check(CLI::Range(1, 256));
  CLI11_PARSE(app, argc, argv);
  int number = 0;
  for (const planted::Row& row : planted::Rows()) {
    if (list) std::printf("%s\n", std::string(row.name).c_str());
    if (row.name == options.fault) planted::on = static_cast<planted::Fault>(number);
    ++number;
  }
  if (list) return 0;
  if (!options.fault.empty() && planted::on == planted::kNone) {
    std::fprintf(stderr, "There is no fault %s; --list names them.\n", options.fault.c_str());
    return 2;
  }
  if (seed->count() > 0) return RunOne(options);
  if (planted::on == planted::kNone) {
    std::fprintf(stderr, "Say which --fault is to be found, or which --seed is to be run.\n");
    return 2;
  }
  return Find(planted::on, options);
}

}  // namespace
}  // namespace appsup::simulation

int main(int argc, char** argv) { return appsup::simulation::Main(argc, argv); }
