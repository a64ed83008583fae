// Runs the simulated system: one seed with its trace, or many of them with a figure.
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/clock.h"
#include "tests/simulation/isolated_run.h"
#include "tests/simulation/shrink.h"

namespace appsup::simulation {
namespace {

struct Options {
  uint64_t seed = 0;
  std::string keep;
  bool trace = false;
  std::string seeds;
  double minutes = 0;
  int jobs = 2;
  int failures = 3;
  bool shrink = true;
};

void PrintActions(const RunOptions& options) {
  for (const Action& action : MakeSchedule(options.seed).actions) {
    if (!options.keep || options.keep->contains(action.number)) {
      std::printf("  %s\n", Describe(action).c_str());
    }
  }
}

int RunOne(const Options& options) {
  RunOptions run{options.seed, std::nullopt, options.trace};
  if (!options.keep.empty()) {
    run.keep.emplace();
    for (const auto& number : absl::StrSplit(options.keep, ',')) {
      run.keep->insert(std::stoi(std::string(number)));
    }
  }
  const RunResult result = Simulation(run).Run();
  for (const std::string& line : result.trace) std::printf("%s\n", line.c_str());
  PrintActions(run);
  std::printf("seed %llu: %llu events in %s of virtual time, hash %016llx: %s\n",
              static_cast<unsigned long long>(run.seed),
              static_cast<unsigned long long>(result.steps), FormatTime(result.time).c_str(),
              static_cast<unsigned long long>(result.hash),
              result.violation ? Describe(*result.violation).c_str() : "all promises kept");
  return result.violation ? 1 : 0;
}

void ShowShrunk(const Outcome& failed) {
  const Shrunk shrunk = Shrink(failed.seed, failed.promise, [](const RunOptions& run) {
    const Outcome outcome = RunIsolated(run);
    return outcome.promise < 0 ? std::nullopt
                               : std::optional(Violation{outcome.promise, {}, outcome.text, ""});
  });
  const RunOptions least{failed.seed, shrunk.keep, false};
  std::printf("  shrunk to %zu actions in %d runs: %s\n", shrunk.keep.size(), shrunk.runs,
              RunIsolated(least).text.c_str());
  PrintActions(least);
  const std::string keep = shrunk.keep.empty() ? "-1" : absl::StrJoin(shrunk.keep, ",");
  std::printf("  replay: --seed %llu --keep %s --trace\n",
              static_cast<unsigned long long>(failed.seed), keep.c_str());
}

int RunRange(const Options& options) {
  uint64_t first = 1;
  uint64_t last = UINT64_MAX / 2;
  if (!options.seeds.empty()) {
    const std::vector<std::string> ends = absl::StrSplit(options.seeds, '-');
    first = std::stoull(ends[0]);
    last = ends.size() > 1 ? std::stoull(ends[1]) : first;
  }
  SystemClock clock;
  const absl::Duration began = clock.Now().boot;
  const absl::Duration limit =
      options.minutes > 0 ? absl::Minutes(options.minutes) : absl::InfiniteDuration();
  uint64_t seeds = 0;
  uint64_t steps = 0;
  std::vector<Outcome> failed;
  RunMany(
      first, last, options.jobs, [&] { return clock.Now().boot - began > limit; },
      [&](const Outcome& outcome) {
        ++seeds;
        steps += outcome.steps;
        if (outcome.promise < 0) return;
        failed.push_back(outcome);
        std::printf("seed %llu: %s\n", static_cast<unsigned long long>(outcome.seed),
                    outcome.text.c_str());
        std::fflush(stdout);
      });
  const double seconds = absl::ToDoubleSeconds(clock.Now().boot - began);
  std::printf("%llu seeds, %llu events, %.0f events/s, %.0f seeds/minute, %zu failed\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(steps),
              static_cast<double>(steps) / seconds, static_cast<double>(seeds) / seconds * 60,
              failed.size());
  for (size_t i = 0; options.shrink && i < failed.size() && static_cast<int>(i) < options.failures;
       ++i) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(failed[i].seed),
                failed[i].text.c_str());
    ShowShrunk(failed[i]);
  }
  if (options.minutes <= 0 && seeds != last - first + 1) {
    std::printf("not all of the %llu seeds were run\n",
                static_cast<unsigned long long>(last - first + 1));
    return 1;
  }
  return failed.empty() ? 0 : 1;
}

int Main(int argc, char** argv) {
  CLI::App app("Simulates the whole system from a seed and checks what it promises.");
  Options options;
  auto* seed = app.add_option("--seed", options.seed, "run this seed");
  app.add_option("--keep", options.keep, "with only these actions, as 3,7,12")->needs(seed);
  app.add_flag("--trace", options.trace, "print what happens")->needs(seed);
  app.add_option("--seeds", options.seeds, "run these seeds, as 1-2000")->excludes(seed);
  app.add_option("--minutes", options.minutes, "run for so long")->excludes(seed);
  app.add_option("--jobs", options.jobs, "processes")->check(CLI::Range(1, 256));
  app.add_option("--failures", options.failures, "how many failing seeds are shrunk");
  app.add_flag("!--no-shrink", options.shrink, "do not shrink failing seeds");
  CLI11_PARSE(app, argc, argv);
  if (seed->count() > 0) return RunOne(options);
  if (options.seeds.empty() && options.minutes <= 0) options.seeds = "1-200";
  return RunRange(options);
}

}  // namespace
}  // namespace appsup::simulation

int main(int argc, char** argv) { return appsup::simulation::Main(argc, argv); }
