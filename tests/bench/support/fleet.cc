#include "tests/bench/support/fleet.h"

#include <algorithm>
#include <cstdio>
#include <future>

#include "common/check.h"
#include "fmt/format.h"
#include "tests/bench/support/must.h"
#include "tests/bench/support/nodes.h"
#include "tests/support/wait.h"

namespace appsup::bench {

Fleet::Fleet(const Nodes& nodes, const FleetAgent::OnApplied& on_applied)
    : thread_(Must(entry::LoopThread::Start())) {
  Do([&] {
    for (int i = nodes.first; i < nodes.first + nodes.count; ++i) {
      const std::string id = NodeId(nodes.prefix, i);
      FleetAgent::Setup setup{nodes.link, nodes.dir + "/" + id, id, static_cast<uint64_t>(i)};
      agents_.push_back(std::make_unique<FleetAgent>(thread_->loop(), clock_, random_,
                                                     std::move(setup), on_applied));
    }
  });
  Join();
}

Fleet::~Fleet() {
  Leave();
  thread_->Join();
}

void Fleet::Do(const std::function<void()>& what) {
  std::promise<void> done;
  thread_->loop().Post([&] {
    what();
    done.set_value();
  });
  done.get_future().wait();
}

void Fleet::Mark() {
  Do([this] {
    for (const auto& agent : agents_) agent->Mark();
  });
}

void Fleet::Leave() {
  Do([this] {
    for (const auto& agent : agents_) agent->Leave();
  });
}

void Fleet::Join() {
  Do([this] {
    for (const auto& agent : agents_) agent->Join();
  });
}

bool Fleet::AwaitBack(absl::Duration limit) {
  return testing::WaitFor(
      [this] {
        bool all = false;
        Do([&] {
          all = std::all_of(agents_.begin(), agents_.end(), [](auto& it) { return it->back(); });
        });
        return all;
      },
      limit);
}

Fleet::Figures Fleet::figures() {
  Figures sum;
  Do([&] {
    for (const auto& agent : agents_) {
      const FleetAgent::Figures one = agent->figures();
      ++sum.agents;
      sum.connected += one.connected;
      sum.back += one.back;
      sum.back_at = std::max(sum.back_at, one.back ? one.back_at : 0);
      sum.running += one.running;
      sum.changed += one.changed;
      sum.bytes_to += one.bytes_to;
      sum.bytes_from += one.bytes_from;
    }
  });
  return sum;
}

void Print(const Fleet::Figures& it) {
  fmt::print(
      "{{\"agents\": {}, \"connected\": {}, \"back\": {}, \"back_at\": {:.6f}, \"running\": {}, "
      "\"changed\": {}, \"bytes_to\": {}, \"bytes_from\": {}}}\n",
      it.agents, it.connected, it.back, it.back_at, it.running, it.changed, it.bytes_to,
      it.bytes_from);
  std::fflush(stdout);
}

}  // namespace appsup::bench
