// An agent that starts on a journal with anything in it, while anything runs on the machine.
#include <set>
#include <string>
#include <utility>

#include "appsupervisor/agent/v1/journal.pb.h"
#include "tests/fake/agent_world.h"
#include "tests/fuzz/steps.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;
namespace journal = appsupervisor::agent::v1;
using fuzz::Expect;
using fuzz::Step;

// Rows first, then what happens. A raw row is its key, a line end, its value.
enum Kind : uint8_t { kNode, kInstance, kPort, kRawInstance, kRawNode, kRuns, kEnded, kSay, kPass };

const google::protobuf::Message* TypeOf(uint8_t kind) {
  static const journal::NodeRecord node;
  static const journal::InstanceRecord instance;
  static const api::ConnectResponse said;
  if (kind == kNode) return &node;
  if (kind == kInstance) return &instance;
  return kind == kSay ? &said : nullptr;
}

std::pair<std::string, std::string> KeyAndValue(const std::string& body) {
  const size_t end = body.find('\n');
  if (end == std::string::npos) return {body, ""};
  return {body.substr(0, end), body.substr(end + 1)};
}

ProcessId IdOf(const Step& step) {
  const auto [uid, rest] = KeyAndValue(step.body);
  const int kind = rest.empty() ? 1 : static_cast<unsigned char>(rest[0]) % 4 + 1;
  const int attempt = rest.size() < 2 ? 1 : static_cast<unsigned char>(rest[1]);
  return {uid, static_cast<ProcessKind>(kind), attempt};
}

void AddRow(const Step& step, AgentWorld& world) {
  const auto [key, value] = KeyAndValue(step.body);
  if (step.kind == kNode) world.durable.node["node"] = step.body;
  if (step.kind == kRawNode) world.durable.node[key] = value;
  if (step.kind == kRawInstance) world.durable.instances[key] = value;
  if (step.kind == kPort) world.durable.ports[key] = value;
  if (step.kind == kInstance) {
    const auto record = fuzz::Parse<journal::InstanceRecord>(step);
    if (record) world.durable.instances[record->assignment().uid()] = step.body;
  }
  if (step.kind == kRuns) {
    const ProcessId id = IdOf(step);
    AgentWorld::Process& process = world.processes[id];
    process.request.id = id;
    process.pid = 100 + static_cast<int64_t>(world.processes.size());
    process.start_time = absl::Seconds(500);
  }
  if (step.kind == kEnded) world.exits[IdOf(step)].code = 1;
}

void Happen(const Step& step, AgentWorld& world) {
  if (step.kind == kSay) {
    if (auto said = fuzz::Parse<api::ConnectResponse>(step)) world.Say(*std::move(said));
  }
  if (step.kind == kPass) world.Advance(absl::Seconds(1) * fuzz::Number(step));
}

// Processes that this agent started; what ran before may be double.
void CheckTrees(const AgentWorld& world) {
  std::set<std::string> fresh;
  for (const auto& [id, process] : world.processes) {
    if (id.kind != ProcessKind::kMain || process.pid < 1000) continue;
    Expect(fresh.insert(id.instance_uid).second, "one tree per instance");
  }
}

}  // namespace
}  // namespace appsup::agent

APPSUP_MUTATE_STEPS(appsup::agent::TypeOf)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace appsup;
  const auto steps = fuzz::ReadSteps(data, size);
  agent::AgentWorld world;
  for (const fuzz::Step& step : steps) agent::AddRow(step, world);
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  for (const fuzz::Step& step : steps) agent::Happen(step, world);
  agent::CheckTrees(world);
  const size_t held = world.core->figures().instances;
  world.KillAgent();
  world.Boot();
  fuzz::Expect(world.core->figures().instances >= held, "all that was held is in the journal");
  world.ConnectDriver();
  world.Connect();
  world.Advance(absl::Minutes(10));
  agent::CheckTrees(world);
  return 0;
}
