#include "tests/simulation/app_maker.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "entry/core/proto_time.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {
namespace {

namespace api = appsupervisor::v1;
using entry::FromProtoDuration;
using entry::ToProtoDuration;

constexpr absl::Duration kZero;

ProcessPlan MakePlan(Random& random) {
  ProcessPlan plan;
  plan.ready = Between(random, kZero, absl::Seconds(2));
  plan.stop = Between(random, kZero, absl::Milliseconds(800));
  plan.stubborn = Chance(random, 12);
  if (Chance(random, 12)) plan.lingering = Between(random, kZero, absl::Seconds(2));
  if (Chance(random, 18)) {
    plan.life = Between(random, absl::Milliseconds(200), absl::Seconds(15));
    plan.code = Chance(random, 60) ? 1 : 0;
  }
  if (Chance(random, 8)) plan.unstartable = Chance(random, 50) ? 100 : 40;
  plan.never_ready = Chance(random, 6);
  return plan;
}

void SetCommand(const ProcessPlan& plan, google::protobuf::RepeatedPtrField<std::string>* words) {
  words->Clear();
  for (std::string& word : CommandOf(plan)) *words->Add() = std::move(word);
}

void SetSetup(Random& random, api::AppSpec& spec) {
  ProcessPlan plan;
  plan.life = Between(random, absl::Milliseconds(100), absl::Seconds(4));
  plan.code = Chance(random, 20) ? 1 : 0;
  api::Setup& setup = *spec.mutable_setup();
  SetCommand(plan, setup.mutable_command());
  *setup.mutable_timeout() = ToProtoDuration(absl::Seconds(15));
  setup.set_retry_safe(Chance(random, 60));
  if (Chance(random, 30)) setup.set_version(absl::StrCat("v", random.Below(3)));
}

void SetRestart(Random& random, api::AppSpec& spec) {
  api::Restart& restart = *spec.mutable_restart();
  if (Chance(random, 30)) {
    restart.set_policy(Chance(random, 60) ? api::RESTART_POLICY_ON_FAILURE
                                          : api::RESTART_POLICY_NEVER);
  }
  *restart.mutable_initial_backoff() = ToProtoDuration(absl::Milliseconds(300));
  *restart.mutable_max_backoff() = ToProtoDuration(absl::Seconds(2));
  restart.mutable_crash_loop()->set_count(4);
  *restart.mutable_crash_loop()->mutable_window() = ToProtoDuration(absl::Seconds(10));
  *restart.mutable_crash_loop()->mutable_retry() = ToProtoDuration(absl::Seconds(3));
}

void SetUpdate(Random& random, api::AppSpec& spec) {
  api::Update& update = *spec.mutable_update();
  *update.mutable_progress_deadline() = ToProtoDuration(absl::Seconds(20));
  if (Chance(random, 30)) update.set_strategy(api::UPDATE_STRATEGY_RECREATE);
  if (Chance(random, 30)) update.set_max_unavailable(1);
  if (Chance(random, 20)) {
    update.set_max_surge(0);
    update.set_max_unavailable(1);
  }
  if (Chance(random, 40)) update.set_auto_rollback(Chance(random, 50));
}

void SetDisconnect(Random& random, api::AppSpec& spec) {
  api::Disconnect& disconnect = *spec.mutable_disconnect();
  disconnect.Clear();
  const bool bound = spec.data().kind() == api::DATA_KIND_NODE;
  switch (random.Below(5)) {
    case 0:
      disconnect.set_at_lease_end(api::AT_LEASE_END_STOP);
      if (!bound) disconnect.set_replace(api::REPLACE_AFTER_STOP);
      break;
    case 1:
      if (bound) break;
      disconnect.set_replace(api::REPLACE_AFTER);
      *disconnect.mutable_lost_after() =
          ToProtoDuration(Between(random, absl::Seconds(1), absl::Seconds(12)));
      break;
    default:
      spec.clear_disconnect();
      break;
  }
}

void SetPorts(Random& random, int number, api::AppSpec& spec) {
  spec.clear_ports();
  if (Chance(random, 55)) return;
  api::Port& port = *spec.add_ports();
  port.set_name("http");
  if (Chance(random, 20)) port.set_number(9000 + number);
  if (Chance(random, 30)) spec.add_ports()->set_name("admin");
}

void SetCheck(Random& random, api::AppSpec& spec) {
  spec.clear_checks();
  if (Chance(random, 50)) return;
  spec.mutable_checks()->mutable_readiness()->mutable_exec()->add_command("check");
}

}  // namespace

api::AppSpec MakeSpec(Random& random, int number) {
  api::AppSpec spec;
  SetCommand(MakePlan(random), spec.mutable_runtime()->mutable_process()->mutable_command());
  spec.set_replicas(static_cast<int>(Between(random, int64_t{1}, int64_t{3})));
  spec.mutable_placement()->add_environments("eu");
  if (Chance(random, 20)) spec.mutable_placement()->set_strategy(api::PLACEMENT_STRATEGY_PACK);
  (*spec.mutable_env())["VERSION"] = absl::StrCat(random.Below(1000));
  if (Chance(random, 20)) spec.mutable_data()->set_kind(api::DATA_KIND_NODE);
  if (Chance(random, 25)) SetSetup(random, spec);
  if (Chance(random, 25)) {
    spec.mutable_artifact()->set_uri(
        absl::StrCat("https://files.example/", std::string(random.Below(5), 'x'), ".tgz"));
    if (Chance(random, 10)) spec.mutable_artifact()->set_uri("https://files.example/missing.tgz");
  }
  SetPorts(random, number, spec);
  SetCheck(random, spec);
  SetRestart(random, spec);
  SetUpdate(random, spec);
  SetDisconnect(random, spec);
  *spec.mutable_stop()->mutable_grace_period() =
      ToProtoDuration(Between(random, absl::Milliseconds(500), absl::Seconds(3)));
  if (Chance(random, 15)) spec.set_run_state(api::RUN_STATE_STOPPED);
  return spec;
}

api::AppSpec MakeDurableSpec(Random& random, int number, bool fenced) {
  api::AppSpec spec;
  ProcessPlan plan;
  plan.ready = Between(random, kZero, absl::Milliseconds(400));
  plan.stubborn = Chance(random, 80);
  SetCommand(plan, spec.mutable_runtime()->mutable_process()->mutable_command());
  spec.set_replicas(static_cast<int>(Between(random, int64_t{1}, int64_t{3})));
  spec.mutable_placement()->add_environments("eu");
  (*spec.mutable_env())["VERSION"] = absl::StrCat(random.Below(1000));
  SetPorts(random, number, spec);
  for (api::Port& port : *spec.mutable_ports()) port.clear_number();
  SetUpdate(random, spec);
  if (fenced) {
    SetFenced(spec);
  } else {
    spec.mutable_disconnect()->set_replace(api::REPLACE_AFTER);
    *spec.mutable_disconnect()->mutable_lost_after() =
        ToProtoDuration(Between(random, absl::Seconds(1), absl::Seconds(3)));
  }
  *spec.mutable_stop()->mutable_grace_period() =
      ToProtoDuration(Between(random, absl::Milliseconds(300), absl::Seconds(2)));
  return spec;
}

void SetFenced(api::AppSpec& spec) {
  api::Disconnect& disconnect = *spec.mutable_disconnect();
  disconnect.Clear();
  disconnect.set_at_lease_end(api::AT_LEASE_END_STOP);
  disconnect.set_replace(api::REPLACE_AFTER_STOP);
}

api::AppSpec MakeSetupSpec(Random& random, int number) {
  api::AppSpec spec = MakeDurableSpec(random, number, false);
  *spec.mutable_stop()->mutable_grace_period() = ToProtoDuration(absl::Seconds(2));
  SetLongSetup(random, spec);
  return spec;
}

void SetLongSetup(Random& random, api::AppSpec& spec) {
  ProcessPlan plan;
  plan.life = Between(random, absl::Seconds(2), absl::Seconds(6));
  plan.stop = Between(random, absl::Milliseconds(200), absl::Seconds(2));
  api::Setup& setup = *spec.mutable_setup();
  setup.Clear();
  SetCommand(plan, setup.mutable_command());
  *setup.mutable_timeout() = ToProtoDuration(absl::Seconds(15));
  setup.set_retry_safe(Chance(random, 20));
}

void ChangeSpec(Random& random, int number, api::AppSpec& spec) {
  switch (random.Below(8)) {
    case 0:
    case 1:
    case 2:
      (*spec.mutable_env())["VERSION"] = absl::StrCat(random.Below(1000));
      break;
    case 3:
      SetCommand(MakePlan(random), spec.mutable_runtime()->mutable_process()->mutable_command());
      break;
    case 4:
      SetPorts(random, number, spec);
      SetCheck(random, spec);
      break;
    case 5:
      SetDisconnect(random, spec);
      break;
    case 6:
      SetSetup(random, spec);
      break;
    default:
      SetUpdate(random, spec);
      break;
  }
}

api::AppSpec MakeBadSpec(Random& random, int number) {
  api::AppSpec spec = MakeSpec(random, number);
  (*spec.mutable_env())["VERSION"] = kBadMark;
  switch (random.Below(4)) {
    case 0:
      (*spec.mutable_env())["1=BAD"] = "x";
      break;
    case 1:
      spec.clear_runtime();
      break;
    case 2:
      spec.mutable_placement()->add_environments("nowhere");
      break;
    default:
      spec.set_replicas(-1);
      break;
  }
  return spec;
}

bool IsHealthy(const api::AppSpec& spec) {
  const auto& words = spec.runtime().process().command();
  const ProcessPlan plan = PlanOf({words.begin(), words.end()});
  if (spec.restart().policy() == api::RESTART_POLICY_NEVER) return false;
  if (plan.life != kZero || plan.unstartable != 0 || plan.never_ready) return false;
  const auto& setup_words = spec.setup().command();
  if (PlanOf({setup_words.begin(), setup_words.end()}).code != 0) return false;
  return !absl::StrContains(spec.artifact().uri(), "missing");
}

absl::Duration OwnTime(const api::AppSpec& spec) {
  const auto& words = spec.runtime().process().command();
  const ProcessPlan plan = PlanOf({words.begin(), words.end()});
  const auto& setup_words = spec.setup().command();
  const ProcessPlan setup = PlanOf({setup_words.begin(), setup_words.end()});
  return plan.ready + 2 * FromProtoDuration(spec.stop().grace_period()) + 1.5 * setup.life;
}

}  // namespace appsup::simulation
