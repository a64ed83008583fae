// What an entry says, into the real core of an agent that runs two apps.
#include <set>
#include <string>

#include "tests/fake/agent_world.h"
#include "tests/fuzz/steps.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;
using fuzz::Expect;
using fuzz::Step;

enum Kind : uint8_t { kSay, kSayAsIs, kPass, kReconnect, kKillAgent, kDriverLost, kExit, kReboot };

constexpr size_t kMaxMessageBytes = 1 << 20;
constexpr size_t kMaxHeldEffects = 10'000;

const google::protobuf::Message* TypeOf(uint8_t kind) {
  static const api::ConnectResponse said;
  return kind == kSay || kind == kSayAsIs ? &said : nullptr;
}

class World {
 public:
  World() {
    world_.Boot();
    world_.ConnectDriver();
    world_.Connect();
    for (const char* uid : {"u1", "u2"}) {
      world_.Assign(RunAssignment(uid));
      kept_.insert(uid);
      Expect(world_.Runs(uid), "what should run runs");
    }
  }

  void Do(const Step& step) {
    switch (step.kind) {
      case kSay:
      case kSayAsIs:
        if (auto said = fuzz::Parse<api::ConnectResponse>(step)) Say(*said, step.kind == kSay);
        break;
      case kPass:
        world_.Advance(absl::Milliseconds(100) * fuzz::Number(step));
        break;
      case kReconnect:
        if (world_.connection != 0) world_.Disconnect();
        fuzz::Number(step) % 2 == 0 ? world_.Connect() : world_.LinkUpOnly();
        break;
      case kKillAgent:
        Restart(false);
        break;
      case kDriverLost:
        world_.DisconnectDriver();
        world_.ConnectDriver();
        break;
      case kExit:
        kept_.clear();
        if (world_.Runs("u1")) world_.Exit("u1", fuzz::Number(step) % 3);
        break;
      case kReboot:
        kept_.clear();
        Restart(true);
        break;
      default:
        break;
    }
    Check();
  }

 private:
  void Say(api::ConnectResponse said, bool as_expected) {
    for (const api::Assignment& assignment : said.assignments().assignments()) {
      kept_.erase(assignment.uid());
    }
    if (world_.connection == 0) return;
    const bool guarded =
        !world_.DurableNode().guard().empty() && !said.welcome().catalog_accepted();
    const std::set<ProcessId> before = guarded ? Running() : std::set<ProcessId>();
    if (as_expected) {
      world_.Say(std::move(said));
    } else {
      world_.Handle(LinkMessage{world_.connection,
                                std::make_shared<const api::ConnectResponse>(std::move(said))});
    }
    const std::set<ProcessId> after = Running();
    for (const ProcessId& id : before) {
      Expect(after.contains(id), "while the guard is on, no word of an entry ends a process");
    }
  }

  std::set<ProcessId> Running() const {
    std::set<ProcessId> running;
    for (const auto& [id, process] : world_.processes) running.insert(id);
    return running;
  }

  // What is durable is all that there is, and it can be read.
  void Restart(bool reboot) {
    const size_t held = world_.core->figures().instances;
    reboot ? world_.Reboot() : world_.KillAgent();
    world_.Boot();
    Expect(world_.core->figures().instances == held, "all that was held is in the journal");
    world_.ConnectDriver();
  }

  void Check() {
    std::set<std::string> running;
    for (const auto& [id, process] : world_.processes) {
      if (id.kind != ProcessKind::kMain) continue;
      Expect(running.insert(id.instance_uid).second, "one tree per instance");
    }
    for (const std::string& uid : kept_) {
      Expect(running.contains(uid), "nothing ends that no assignment named");
    }
    for (const api::ConnectRequest& message : world_.received) {
      Expect(message.ByteSizeLong() <= kMaxMessageBytes, "a message is bounded in size");
    }
    world_.received.clear();
    world_.effects.clear();
    Expect(world_.core->figures().held_effects < kMaxHeldEffects, "what waits is bounded");
  }

  AgentWorld world_;
  std::set<std::string> kept_;  // Uids that no step has touched.
};

}  // namespace
}  // namespace appsup::agent

APPSUP_MUTATE_STEPS(appsup::agent::TypeOf)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  appsup::agent::World world;
  for (const appsup::fuzz::Step& step : appsup::fuzz::ReadSteps(data, size)) world.Do(step);
  return 0;
}
