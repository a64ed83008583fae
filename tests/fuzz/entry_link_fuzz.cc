// What agents say, into the real core of an entry with two nodes and two apps. The first node may
// say anything; the second is honest and must not notice.
#include <map>
#include <string>

#include "appsupervisor/v1/app_service.pb.h"
#include "tests/fuzz/steps.h"
#include "tests/support/core_harness.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

namespace appsup::entry {
namespace {

using fuzz::Expect;
using fuzz::Step;

enum Kind : uint8_t { kSay, kSayOnNewSession, kConnect, kPass, kHold, kCreateApp, kRestart };

constexpr size_t kMaxAnswers = 200;            // To one message.
constexpr size_t kMaxAnswerBytes = 1'000'000;  // Of one message; the link's limit is 1 MiB.

const google::protobuf::Message* TypeOf(uint8_t kind) {
  static const api::ConnectRequest said;
  static const api::Hello hello;
  static const api::CreateAppRequest create;
  if (kind == kSay || kind == kSayOnNewSession) return &said;
  if (kind == kConnect) return &hello;
  return kind == kCreateApp ? &create : nullptr;
}

// Both apps run on both nodes.
CoreHarness::Backup MakeCatalog() {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  entry.AddNode("n2", "eu");
  PlayedAgent first(entry, "n1");
  PlayedAgent second(entry, "n2");
  for (const char* id : {"web", "db"}) {
    api::CreateAppRequest request = NewApp(id);
    request.mutable_app()->mutable_spec()->set_replicas(2);
    request.mutable_app()->mutable_spec()->mutable_placement()->add_environments("eu");
    Expect(entry.Call<api::Operation>("AppService/CreateApp", request).status(), "the app is made");
    first.Run();
    second.Run();
  }
  return entry.TakeBackup();
}

class World {
 public:
  World() {
    static const CoreHarness::Backup& catalog = *new CoreHarness::Backup(MakeCatalog());
    entry_.Restore(catalog);
    Connect({});
    for (const std::string& name : entry_.catalog().InstancesOfNode("nodes/n2")) {
      others_[name] = StatusOf(name);
    }
    apps_ = Specs();
  }

  void Do(const Step& step) {
    switch (step.kind) {
      case kSay:
      case kSayOnNewSession:
        if (auto said = fuzz::Parse<api::ConnectRequest>(step)) Say(*said, step.kind == kSay);
        break;
      case kConnect:
        if (auto hello = fuzz::Parse<api::Hello>(step)) Connect(*hello);
        break;
      case kPass:
        passed_ = true;
        entry_.Advance(absl::Milliseconds(100) * fuzz::Number(step));
        break;
      case kHold:
        entry_.HoldCommits(fuzz::Number(step) % 2 != 0);
        break;
      case kCreateApp:
        if (auto create = fuzz::Parse<api::CreateAppRequest>(step)) {
          asked_ = true;
          entry_.Send("AppService/CreateApp", *create);
        }
        break;
      case kRestart:
        asked_ = true;  // What was held is lost.
        entry_.Restart();
        Connect({});
        break;
      default:
        break;
    }
  }

  void Check() {
    entry_.HoldCommits(false);
    for (const auto& [name, spec] : apps_) {
      Expect(entry_.catalog().apps.Find(name) != nullptr, "no agent removes an app");
      Expect(SpecOf(name) == spec, "no agent changes what an operator wrote");
    }
    if (!passed_ && !asked_) {
      for (const auto& [name, status] : others_) {
        Expect(StatusOf(name) == status, "an agent speaks only of its own node's instances");
      }
    }
    entry_.Restart();  // What was written can be read.
  }

 private:
  void Connect(api::Hello hello) {
    const rec::NodeRecord* node = entry_.catalog().nodes.Find("nodes/n1");
    if (hello.last_session_secret().empty() && hello.machine_id().empty()) {
      hello.set_machine_id("machine-n1");
    }
    if (node != nullptr) session_ = entry_.Connect("n1", std::move(hello));
    Hear();
  }

  void Say(const api::ConnectRequest& message, bool on_present) {
    if (!on_present) Connect({});
    entry_.FromAgent(session_, message);
    Hear();
  }

  void Hear() {
    const auto answers = entry_.ToAgent(session_);
    Expect(answers.size() <= kMaxAnswers, "answers to one message are bounded in number");
    for (const api::ConnectResponse& answer : answers) {
      Expect(!answer.timeline().empty() && answer.epoch() > 0, "an answer says whose it is");
      Expect(answer.ByteSizeLong() <= kMaxAnswerBytes, "an answer is bounded in size");
    }
  }

  std::string SpecOf(const std::string& name) const {
    const api::App& app = entry_.catalog().apps.Find(name)->app();
    return app.uid() + app.spec().SerializeAsString() + app.delete_time().SerializeAsString();
  }

  std::map<std::string, std::string> Specs() const {
    std::map<std::string, std::string> specs;
    for (const char* name : {"projects/default/apps/web", "projects/default/apps/db"}) {
      specs[name] = SpecOf(name);
    }
    return specs;
  }

  std::string StatusOf(const std::string& name) const {
    const rec::InstanceRecord* record = entry_.catalog().instances.Find(name);
    if (record == nullptr) return "gone";
    const api::Instance& instance = record->instance();
    return instance.uid() + api::InstanceState_Name(instance.state()) +
           std::to_string(instance.attempt()) + std::to_string(instance.desired());
  }

  mutable CoreHarness entry_;
  SessionId session_ = 0;
  std::map<std::string, std::string> apps_;
  std::map<std::string, std::string> others_;
  bool passed_ = false;  // Time did, so that leases ended.
  bool asked_ = false;   // An operator did something too.
};

}  // namespace
}  // namespace appsup::entry

APPSUP_MUTATE_STEPS(appsup::entry::TypeOf)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  appsup::entry::World world;
  for (const appsup::fuzz::Step& step : appsup::fuzz::ReadSteps(data, size)) world.Do(step);
  world.Check();
  return 0;
}
