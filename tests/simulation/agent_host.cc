#include "tests/simulation/agent_host.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace appsup::simulation {
namespace {

constexpr absl::Duration kUsagePeriod = absl::Seconds(10);

}  // namespace

AgentHost::AgentHost(World& world, Network& network, Observer& observer, int node,
                     double clock_rate)
    : world_(world),
      network_(network),
      observer_(observer),
      node_(node),
      random_(world.Stream(absl::StrCat("agent", node))),
      clock_(clock_rate),
      keeper_(world, observer, clock_, node),
      journal_(world, observer, node) {}

AgentHost::~AgentHost() = default;

std::string AgentHost::id() const { return absl::StrCat("n", node_ + 1); }

void AgentHost::Start() {
  if (core_ != nullptr) return;
  world_.Note(id(), "agent-start");
  ++life_;
  paused_ = false;
  agent::CoreOptions options;
  options.machine_id = absl::StrCat("machine-", id());
  options.boot_id = absl::StrCat("boot-", id(), "-", boots_);
  options.versions["agent"] = "0.1";
  options.capacity.set_cpu_millis(8000);
  options.capacity.set_memory_bytes(int64_t{16} << 30);
  options.capacity.set_pids(10'000);
  options.address = absl::StrCat("10.0.0.", node_ + 1);
  options.listen_address = "0.0.0.0";
  options.check_address = "127.0.0.1";
  options.instances_dir = "/state/instances";
  options.data_dir = "/state/data";
  options.log_dir = "/state/logs";
  options.first_port = 20000;
  options.last_port = 20039;
  options.seed = random_.Next();
  core_ = std::make_unique<agent::AgentCore>(std::move(options), journal_.contents(), Now());
  observer_.OnAgentStarted(node_);
  JournalModel::Callbacks callbacks;
  callbacks.committed = [this, life = life_](uint64_t through) {
    if (life == life_) Post(agent::JournalCommitted{through});
  };
  callbacks.stalled = [this, life = life_](const std::string& message) {
    if (life == life_) Post(agent::JournalStalled{message});
  };
  journal_.Open(std::move(callbacks));
  driver_ = std::make_unique<DriverModel>(world_, keeper_, node_);
  driver_->Open([this](agent::Event event) { Post(std::move(event)); });
  link_ = std::make_unique<LinkModel>(world_, network_, node_, [this](agent::LinkEvent event) {
    std::visit([this](auto& it) { Post(std::move(it)); }, event);
  });
  Post(agent::TimerDue{});
  SampleUsage();
}

void AgentHost::Crash() {
  if (core_ == nullptr) return;
  world_.Note(id(), "agent-crash");
  ++life_;
  core_.reset();
  driver_.reset();
  link_.reset();
  journal_.Crash();
  paused_ = false;
  held_.clear();
  flush_planned_ = false;
  artifacts_.clear();
  checks_.clear();
  network_.SetReads(node_, true);
}

void AgentHost::Pause() {
  if (core_ == nullptr) return;
  paused_ = true;
  network_.SetReads(node_, false);
}

void AgentHost::Resume() {
  if (!std::exchange(paused_, false)) return;
  network_.SetReads(node_, true);
  for (agent::Event& event : std::exchange(held_, {})) Handle(std::move(event));
}

void AgentHost::PowerOff() {
  Crash();
  off_ = true;
  keeper_.PowerOff();
}

void AgentHost::PowerOn() {
  if (!std::exchange(off_, false)) return;
  ++boots_;
  clock_.Reboot(world_.now());
  keeper_.Start();
  Start();
}

void AgentHost::CrashKeeper() {
  keeper_.Crash();
  if (driver_ != nullptr) driver_->Disconnect();
}

void AgentHost::StartKeeper() {
  if (off_) return;
  keeper_.Start();
  if (driver_ != nullptr) driver_->Connect();
}

void AgentHost::UpgradeKeeper() {
  if (driver_ == nullptr || !keeper_.up()) return;
  driver_->Disconnect();
  Later(absl::Milliseconds(50), [this] { driver_->Connect(); });
}

void AgentHost::Later(absl::Duration after, std::function<void()> what) {
  world_.After(after, [this, life = life_, what = std::move(what)] {
    if (life == life_) what();
  });
}

void AgentHost::Tell(absl::Duration after, agent::Event event) {
  world_.After(after, [this, life = life_, event = std::move(event)]() mutable {
    if (life == life_) Post(std::move(event));
  });
}

void AgentHost::SampleUsage() {
  agent::UsageSampled usage;
  usage.node.set_cpu_millis(Between(random_, int64_t{100}, int64_t{2000}));
  usage.node.set_memory_bytes(int64_t{2} << 30);
  Post(std::move(usage));
  Later(kUsagePeriod, [this] { SampleUsage(); });
}

void AgentHost::Post(agent::Event event) {
  if (core_ == nullptr) return;
  if (paused_) {
    held_.push_back(std::move(event));
  } else {
    Handle(std::move(event));
  }
}

void AgentHost::Handle(agent::Event event) {
  if (const auto* heard = std::get_if<agent::LinkMessage>(&event)) {
    observer_.OnAgentHears(node_, *heard->message);
  }
  if (std::holds_alternative<agent::LinkWritable>(event)) observer_.OnAgentWritable(node_);
  core_->Handle(std::move(event), Now());
  if (std::exchange(flush_planned_, true)) return;
  // Not at once: what else comes in this round shares one commit.
  Later(absl::Microseconds(30), [this] { Flush(); });
}

void AgentHost::Flush() {
  flush_planned_ = false;
  if (paused_) {
    // It was stopped between two of its turns.
    held_.push_back(agent::TimerDue{});
    return;
  }
  for (agent::Effect& effect : core_->Flush()) Perform(effect);
}

}  // namespace appsup::simulation
