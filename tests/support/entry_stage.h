#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/random.h"
#include "entry/core/catalog.h"
#include "entry/core/dirty.h"
#include "entry/core/options.h"
#include "entry/core/patience.h"
#include "entry/core/sessions.h"

namespace appsup::entry {

// How an agent's instances of one revision behave once they should run.
enum class Behaviour {
  kReady,
  kNeverReady,
  kCrashes,
  kFails,
  kCompletes,
  kIsRefused,
  kLacksCode,
};

// An agent as the link protocol shows it, without processes.
class FakeAgent {
 public:
  FakeAgent(std::string node, SessionId session) : node_(std::move(node)), session_(session) {}

  struct Held {
    api::Assignment assignment;
    api::InstanceStatus status;
  };

  api::ConnectRequest Hello(const api::Hello& said) const;
  // Answers one message of the entry.
  std::vector<api::ConnectRequest> Take(const api::ConnectResponse& message);
  // What became of its instances since the last call, as far as they may go on.
  std::optional<api::ConnectRequest> Report();

  // Everything it holds goes on as it may now.
  void Nudge();

  std::string node_;
  SessionId session_;
  std::map<std::string, Held> held;            // By uid.
  std::map<int64_t, Behaviour> behaviours;     // By revision; default kReady.
  std::map<int64_t, api::Exit> setup_exits;    // By revision: how setup ends; absent: it runs on.
  std::set<std::string> slow_to_stop;          // Names of apps whose instances stay STOPPING.
  std::vector<api::ConnectResponse> received;  // Everything, in order.
  std::vector<std::string> started;            // "{name} r{revision}" at each start of a process.
  // What a guarded agent refused: "{uid}: {why}". An entry should not have said it.
  std::vector<std::string> guard_refused;
  std::string guard;       // Latched: why.
  api::Position position;  // As far as the entry told.
  std::string secret;
  int64_t version = 0;
  bool closed = false;

 private:
  void TakeWelcome(const api::Welcome& welcome);
  void Apply(const api::Assignment& assignment, api::AssignmentsApplied& applied);
  std::string RefusedByGuard(const api::Assignment& assignment) const;
  void Live(Held& held);

  std::map<std::string, api::InstanceStatus> news_;
};

// A catalog with reconcilers and sessions, and fake agents at the other end. Writes of operators
// are made directly. Everything is taken as durable at once.
class EntryStage {
 public:
  EntryStage();

  void AddEnvironment(const std::string& id, const std::vector<std::string>& projects = {});
  // Enrolled and connected; with 4 GiB and the process driver.
  FakeAgent& AddNode(const std::string& id, const std::string& environment = "eu",
                     int64_t memory = int64_t{4} << 30);
  FakeAgent& Connect(const std::string& id, const api::Hello& hello = {});
  void Disconnect(const std::string& id);
  FakeAgent& agent(const std::string& id) { return *agents_.at(id); }

  // "web" becomes projects/default/apps/web; with an open operation.
  void AddApp(const std::string& id, const api::AppSpec& spec);
  // A write of the spec; `revision`: of what runs.
  void Update(const std::string& id, bool revision, const std::function<void(api::AppSpec&)>& edit,
              const std::string& kind = "UPDATE");
  void Delete(const std::string& id, bool purge);

  // False: ends the drain.
  void Drain(const std::string& id, bool drained = true);

  // Until nothing happens any more.
  void Run();
  void Advance(absl::Duration duration);
  // Heartbeats of all connected agents.
  void Beat();

  static std::string AppName(const std::string& id) { return "projects/default/apps/" + id; }
  const rec::AppRecord& app(const std::string& id) const;
  const api::AppStatus& status(const std::string& id) const;
  const api::Condition* condition(const std::string& id, const std::string& type) const;
  // The newest operation on the app or node.
  const api::Operation& operation(const std::string& target) const;
  // Not gone, in order of name.
  std::vector<rec::InstanceRecord> instances(const std::string& id) const;
  int Count(const std::string& id, api::InstanceState state, int64_t revision = 0) const;

  CoreOptions options;
  Catalog catalog;
  Dirty dirty;
  Patience patience;
  SeededRandom random{7};
  Moment now{absl::FromUnixSeconds(1'700'000'000), absl::Hours(1)};
  std::unique_ptr<Sessions> sessions;
  int apps_reconciled = 0;
  std::function<void()> on_round;  // After each exchange.

 private:
  void OpenOperation(const std::string& target, const std::string& kind);
  void AddRevision(const std::string& id, const api::AppSpec& spec);
  void Reconcile();
  bool Exchange();

  std::map<std::string, std::unique_ptr<FakeAgent>> agents_;  // By node id.
  std::map<std::string, std::string> operations_;             // Newest by target.
  std::map<std::string, absl::Duration> wake_;                // Apps and nodes by name.
  SessionId last_session_ = 0;
  int64_t beats_ = 0;
};

}  // namespace appsup::entry
