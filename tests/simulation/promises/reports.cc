// 6: (attempt, sequence) never goes backwards; final states reach the entry.
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

constexpr int kNotStartedCode = 127;  // Of what waited at the gate and could not be executed.

std::pair<int64_t, int64_t> OrderOf(const rec::InstanceRecord& record) {
  return {record.instance().attempt(), record.instance().sequence()};
}

class Reports : public Observer {
 public:
  explicit Reports(Scene& scene) : scene_(scene) {}

  void OnInstanceRow(const rec::InstanceRecord* before, const rec::InstanceRecord* after) override {
    if (after != nullptr) CheckExit(before, after->instance());
    if (before == nullptr || after == nullptr) return;
    if (before->instance().uid() != after->instance().uid()) return;
    if (OrderOf(*after) >= OrderOf(*before)) return;
    scene_.world.Fail(
        6,
        absl::StrCat(after->instance().name(), " went from attempt ", before->instance().attempt(),
                     " sequence ", before->instance().sequence(), " to ",
                     after->instance().attempt(), ", ", after->instance().sequence()),
        "an order that only grows");
  }

  void OnTreeStarted(const Tree& tree) override {
    Run& run = runs_[tree.id.instance_uid][tree.id.attempt];
    run.node = tree.node;
    run.setup = tree.id.kind == agent::ProcessKind::kSetup;
    run.losses = LossesOf(tree.node);
  }
  void OnTreeEnded(const Tree& tree, const agent::ProcessExit& exit) override {
    runs_[tree.id.instance_uid][tree.id.attempt].exit = exit;
  }
  void OnJournalLost(int node) override { ++journal_losses_[node]; }
  void OnJournalTorn(int node, const std::vector<agent::JournalPut>&) override {
    ++journal_losses_[node];
  }

  // The keeper forgets the exit: the journal must have it.
  void OnAsked(int node, const agent::AckExit& ack) override {
    const auto record = scene_.Journalled(node, ack.id.instance_uid);
    if (!record || record->attempt() != ack.id.attempt || !record->has_open()) return;
    scene_.world.Fail(6,
                      absl::StrCat("n", node + 1, " lets its keeper forget the exit of ",
                                   ack.id.instance_uid, " attempt ", ack.id.attempt),
                      "the exit in the journal first");
  }

  // The agent forgets the instance: the entry must know that it is removed.
  void OnJournalWritten(int node, const std::vector<agent::JournalPut>& rows) override {
    for (const agent::JournalPut& row : rows) {
      if (row.table != agent::JournalTable::kInstance || row.value) continue;
      for (auto& [attempt, run] : runs_[row.key]) run.forgotten = true;
      const auto known = scene_.disk.durable.instance_by_uid.find(row.key);
      if (known == scene_.disk.durable.instance_by_uid.end()) continue;
      const rec::InstanceRecord& record = scene_.disk.durable.instances.at(known->second);
      if (record.instance().state() == api::INSTANCE_STATE_REMOVED) continue;
      scene_.world.Fail(6,
                        absl::StrCat("n", node + 1, " forgot ", record.instance().name(),
                                     ", which the entry has as ",
                                     api::InstanceState_Name(record.instance().state())),
                        "REMOVED at the entry before the journal forgets it");
    }
  }

 private:
  struct Run {
    int node = 0;
    bool setup = false;
    bool forgotten = false;  // Removed; a restored catalog may ask for it again.
    int losses = 0;          // Of its node, when it began.
    std::optional<agent::ProcessExit> exit;
  };

  // How often this node lost exits that it had been told of: with its journal, or with what its
  // keeper kept of a former start of the machine.
  int LossesOf(int node) {
    return journal_losses_[node] + scene_.agents[static_cast<size_t>(node)]->boots();
  }

  // What the entry records of an end is how a process of this instance really ended: of a final
  // state, the newest.
  void CheckExit(const rec::InstanceRecord* before, const api::Instance& instance) {
    const bool news = before == nullptr || before->instance().attempt() != instance.attempt() ||
                      before->instance().state() != instance.state() ||
                      !Same(before->instance().exit(), instance.exit());
    if (!news || IsRight(instance)) return;
    const api::Exit& exit = instance.exit();
    const std::string told = !instance.has_exit() ? "no exit"
                             : exit.unknown()
                                 ? "exit unknown"
                                 : absl::StrCat("code ", exit.code(), " signal ", exit.signal());
    scene_.world.Fail(6,
                      absl::StrCat(instance.name(), " attempt ", instance.attempt(), " is ",
                                   api::InstanceState_Name(instance.state()), " with ", told),
                      "how its process really ended, or unknown where nobody could see it");
  }

  static bool Same(const api::Exit& a, const api::Exit& b) {
    return a.code() == b.code() && a.signal() == b.signal() && a.unknown() == b.unknown();
  }

  bool IsRight(const api::Instance& instance) {
    const bool final = instance.state() == api::INSTANCE_STATE_EXITED ||
                       instance.state() == api::INSTANCE_STATE_FAILED ||
                       instance.state() == api::INSTANCE_STATE_REMOVED;
    const auto& runs = runs_[instance.uid()];
    const auto newest = runs.find(instance.attempt());
    if (!instance.has_exit()) return !final || newest == runs.end() || IsLost(newest->second);
    if (newest != runs.end() && IsOf(newest->second, instance.exit())) return true;
    if (newest != runs.end() && final) return false;
    // The one before is still what there is to tell; if that did not begin, it has a code of its
    // own, or leaves what was there.
    const bool began = runs.contains(instance.attempt() - (newest != runs.end() ? 1 : 0));
    if (!began && (instance.exit().unknown() || IsNotStarted(instance.exit()))) return true;
    const auto after = runs.lower_bound(instance.attempt());
    return after != runs.begin() && IsOf(std::prev(after)->second, instance.exit());
  }

  static bool IsNotStarted(const api::Exit& exit) {
    return exit.code() == kNotStartedCode && exit.signal() == 0;
  }

  bool IsLost(const Run& run) { return run.forgotten || LossesOf(run.node) != run.losses; }

  bool IsOf(const Run& run, const api::Exit& told) {
    const bool lost = IsLost(run);
    if (!run.exit) return told.unknown() && lost;
    // How far a setup came that its fence was about to end, nobody can know.
    if (told.unknown()) return run.exit->unknown || lost || (run.setup && run.exit->by_fence);
    return !run.exit->unknown && told.code() == run.exit->code && told.signal() == run.exit->signal;
  }

  Scene& scene_;
  std::map<std::string, std::map<int64_t, Run>> runs_;  // By uid of the instance and attempt.
  std::map<int, int> journal_losses_;                   // By node.
};

}  // namespace

std::unique_ptr<Observer> MakeReports(Scene& scene) { return std::make_unique<Reports>(scene); }

}  // namespace appsup::simulation
