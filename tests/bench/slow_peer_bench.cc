// Agents, and an operator who restarts apps at a fixed rate over the API: how long does it take
// from the call until the app's agent has applied the new statement? Run by slow_peer.py, which
// keeps another agent from reading meanwhile.
//   slow_peer_bench SOCKET LINK DIR AGENTS APPS SLOW_APPS
// makes APPS apps of one instance on AGENTS nodes of the environment "fast", and SLOW_APPS in the
// environment "slow"; prints "ready". A line "SECONDS RATE" on its standard input then restarts one
// app after the other, RATE per second, and prints what it took. It ends with its input.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "appsupervisor/v1/app_service.grpc.pb.h"
#include "common/check.h"
#include "common/mutex.h"
#include "common/rpc/deadline.h"
#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "tests/bench/support/fleet.h"
#include "tests/bench/support/report.h"

namespace appsup::bench {
namespace {

namespace api = ::appsupervisor::v1;

constexpr int kCallers = 8;
constexpr int64_t kReserve = 1 << 20;

// When each app was asked to restart, until its agent has applied it. Thread-safe.
class Trips {
 public:
  // False if the restart before is still under way.
  bool Begin(const std::string& app) {
    MutexLock lock(&mutex_);
    return open_.emplace(app, Now()).second;
  }

  void Applied(const std::vector<std::string>& instances) {
    const double now = Now();
    MutexLock lock(&mutex_);
    for (const std::string& name : instances) {
      const auto begun = open_.find(name.substr(0, name.find("/instances/")));
      if (begun == open_.end()) continue;
      took_.push_back(now - begun->second);
      open_.erase(begun);
    }
  }

  // Seconds, sorted; those that are still open are dropped.
  std::vector<double> Take() {
    MutexLock lock(&mutex_);
    open_.clear();
    std::vector<double> took = std::exchange(took_, {});
    std::sort(took.begin(), took.end());
    return took;
  }

 private:
  Mutex mutex_;
  std::map<std::string, double> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<double> took_ ABSL_GUARDED_BY(mutex_);
};

class Operator {
 public:
  Operator(const std::string& socket, Trips& trips)
      : trips_(trips),
        stub_(api::AppService::NewStub(
            grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()))) {}

  void Create(const std::string& environment, int count) {
    for (int i = 0; i < count; ++i) {
      api::CreateAppRequest request;
      request.set_parent("projects/default");
      request.set_app_id(fmt::format("{}-{}", environment, i));
      api::AppSpec& spec = *request.mutable_app()->mutable_spec();
      spec.mutable_runtime()->mutable_process()->add_command("serve");
      (*spec.mutable_env())["MODE"] = "production";
      spec.mutable_placement()->add_environments(environment);
      spec.mutable_resources()->mutable_memory_bytes()->set_reserve(kReserve);
      spec.mutable_resources()->mutable_cpu_millis()->set_reserve(1);
      grpc::ClientContext context;
      api::Operation operation;
      const grpc::Status status = stub_->CreateApp(&context, request, &operation);
      APPSUP_CHECK(status.ok(), status.error_message());
      apps_.push_back("projects/default/apps/" + request.app_id());
    }
  }

  // Spreads those that were made last evenly over the others.
  void Mix(size_t last) {
    std::vector<std::string> mixed;
    const size_t others = apps_.size() - last;
    for (size_t i = 0, taken = 0; i < others; ++i) {
      mixed.push_back(apps_[i]);
      for (; taken < last * (i + 1) / others; ++taken) mixed.push_back(apps_[others + taken]);
    }
    apps_ = std::move(mixed);
  }

  void Load(double seconds, double rate) {
    const double begin = Now();
    const auto total = static_cast<int64_t>(seconds * rate);
    std::atomic<int64_t> next = 0, skipped = 0, failed = 0;
    std::vector<std::thread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&] {
        for (int64_t n = next++; n < total; n = next++) {
          const double wait = begin + static_cast<double>(n) / rate - Now();
          if (wait > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait));
          const std::string& app = apps_[static_cast<size_t>(n) % apps_.size()];
          const bool fast = app.find("/fast-") != std::string::npos;
          if (fast && !trips_.Begin(app)) {
            ++skipped;
          } else if (!Restart(app)) {
            ++failed;
          }
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    const double took = Now() - begin;
    std::this_thread::sleep_for(std::chrono::seconds(1));  // For the last ones to arrive.
    Report(static_cast<double>(total - skipped - failed) / took, skipped, failed);
  }

 private:
  bool Restart(const std::string& app) {
    grpc::ClientContext context;
    context.set_deadline(rpc::DeadlineIn(absl::Seconds(30)));
    api::RestartAppRequest request;
    request.set_name(app);
    api::Operation operation;
    return stub_->RestartApp(&context, request, &operation).ok();
  }

  void Report(double rate, int64_t skipped, int64_t failed) {
    const std::vector<double> took = trips_.Take();
    APPSUP_CHECK(!took.empty(), "no restart reached its agent");
    const auto at = [&](double share) {
      const auto index = static_cast<size_t>(std::ceil(share * static_cast<double>(took.size())));
      return took[std::min(took.size(), std::max<size_t>(index, 1)) - 1];
    };
    fmt::print(
        "{{\"rate\": {:.1f}, \"trips\": {}, \"skipped\": {}, \"failed\": {}, \"p50\": {:.6f}, "
        "\"p99\": {:.6f}}}\n",
        rate, took.size(), skipped, failed, at(0.5), at(0.99));
    std::fflush(stdout);
  }

  Trips& trips_;
  const std::unique_ptr<api::AppService::Stub> stub_;
  std::vector<std::string> apps_;
};

int Main(const std::vector<std::string>& args) {
  if (args.size() != 6) return 2;
  Trips trips;
  const auto applied = [&trips](const std::vector<std::string>& names) { trips.Applied(names); };
  Fleet fleet({args[1], args[2], "fast", 0, std::stoi(args[3])}, applied);
  Operator changes(args[0], trips);
  APPSUP_CHECK(fleet.AwaitBack(absl::Minutes(1)), "not all agents have a session");
  changes.Create("fast", std::stoi(args[4]));
  changes.Create("slow", std::stoi(args[5]));
  changes.Mix(static_cast<size_t>(std::stoi(args[5])));
  fmt::print("ready\n");
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
    double seconds = 0, rate = 0;
    std::istringstream(line) >> seconds >> rate;
    changes.Load(seconds, rate);
  }
  return 0;
}

}  // namespace
}  // namespace appsup::bench

int main(int argc, char** argv) {
  return appsup::bench::Main(std::vector<std::string>(argv + 1, argv + argc));
}
