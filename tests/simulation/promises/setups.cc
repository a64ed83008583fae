// 7: of a setup at most one attempt runs at a time; none after a recorded success; an unknown
// outcome is never hidden.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

class Setups : public Observer {
 public:
  explicit Setups(Scene& scene) : scene_(scene) {}

  void OnStoreReplaced() override { replaced_ = true; }

  void OnOperationRow(const rec::OperationRecord*, const rec::OperationRecord* after) override {
    if (after != nullptr) seen_.insert(after->operation().name());
  }

  void OnTreeStarted(const Tree& tree) override {
    if (tree.id.kind != agent::ProcessKind::kSetup) return;
    Attempt& attempt = attempts_[tree.id.instance_uid];
    if (attempt.starts++ > 0) {
      return Fail(tree, "was started again", "one start for each attempt of a setup");
    }
    if (replaced_) return;
    for (const auto& [uid, other] : running_) {
      if (other.app_uid == tree.app_uid && !forgiven_.contains(uid)) {
        return Fail(tree, absl::StrCat("began while ", uid, " runs on n", other.node + 1),
                    "one attempt at a time");
      }
    }
    running_[tree.id.instance_uid] = tree;
    CheckNotDone(tree);
  }

  void OnTreeEnded(const Tree& tree, const agent::ProcessExit& exit) override {
    if (tree.id.kind != agent::ProcessKind::kSetup) return;
    running_.erase(tree.id.instance_uid);
    Attempt& attempt = attempts_[tree.id.instance_uid];
    attempt.ended = true;
    attempt.stopped = exit.stopped;
    attempt.well = exit.code == 0 && exit.signal == 0 && !exit.unknown;
  }

  void OnAppRow(const rec::AppRecord* before, const rec::AppRecord* after) override {
    if (after == nullptr || replaced_) return;
    const bool decided = IsDecided(after->app().name());
    if (decided) Forgive(after->app().uid());
    for (const auto& [key, setup] : after->setups()) {
      const rec::SetupRecord* old = nullptr;
      if (before != nullptr) {
        const auto found = before->setups().find(key);
        if (found != before->setups().end()) old = &found->second;
      }
      CheckTransition(after->app().name(), key, old, setup, decided);
      const bool done = setup.state() == api::SETUP_STATE_SUCCEEDED;
      const bool was_done = old != nullptr && old->state() == api::SETUP_STATE_SUCCEEDED;
      if (!done) accepted_.erase({after->app().uid(), key});
      if (done && !was_done && decided) {
        accepted_[{after->app().uid(), key}] = SetupsOf(after->app().name());
      }
    }
  }

 private:
  struct Attempt {
    int starts = 0;
    bool ended = false;
    bool well = false;
    bool stopped = false;
  };

  // An operator has looked and decided; what still runs somewhere is on that decision.
  void Forgive(const std::string& app_uid) {
    for (const auto& [uid, tree] : running_) {
      if (tree.app_uid == app_uid) forgiven_.insert(uid);
    }
  }

  void CheckNotDone(const Tree& tree) {
    const auto name = scene_.disk.durable.instance_by_uid.find(tree.id.instance_uid);
    if (name == scene_.disk.durable.instance_by_uid.end()) return;
    const std::string app = entry::AppOf(name->second);
    const auto row = scene_.disk.durable.apps.find(app);
    const auto revision =
        scene_.disk.durable.revisions.find(absl::StrCat(app, "/revisions/", tree.revision));
    if (row == scene_.disk.durable.apps.end() || revision == scene_.disk.durable.revisions.end()) {
      return;
    }
    const std::string& key = revision->second.revision().setup_key();
    const auto setup = row->second.setups().find(key);
    if (setup == row->second.setups().end()) return;
    if (setup->second.state() != api::SETUP_STATE_SUCCEEDED) return;
    const auto accepted = accepted_.find({tree.app_uid, key});
    const bool known =
        accepted != accepted_.end() && accepted->second.contains(tree.id.instance_uid);
    if (!known) {
      Fail(tree, "began after its setup had succeeded", "no attempt after a recorded success");
    }
  }

  // RetrySetup or AcceptSetup is part of the transaction: its operation has not been there before.
  bool IsDecided(const std::string& app) const {
    const auto& rows = scene_.disk.durable.operations;
    return std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
      const api::Operation& operation = row.second.operation();
      return operation.target() == app && operation.kind() == "SETUP" && !seen_.contains(row.first);
    });
  }

  // What has been told to a node, and may begin there whatever is decided.
  std::set<std::string> SetupsOf(const std::string& app) const {
    std::set<std::string> uids;
    const auto& rows = scene_.disk.durable.instances;
    const std::string prefix = app + "/instances/";
    for (auto it = rows.lower_bound(prefix); it != rows.end() && it->first.starts_with(prefix);
         ++it) {
      if (it->second.instance().setup()) uids.insert(it->second.instance().uid());
    }
    return uids;
  }

  // Somebody has looked, or it may be repeated, or it has turned out not to have begun.
  void CheckDecided(const std::string& app, const std::string& key, const rec::SetupRecord& before,
                    const rec::SetupRecord& after, bool decided) {
    const bool again =
        after.state() == api::SETUP_STATE_RUNNING || after.state() == api::SETUP_STATE_UNSPECIFIED;
    const auto known = attempts_.find(before.instance_uid());
    const bool began = known != attempts_.end() && known->second.starts > 0;
    if (!again || decided || !began || IsSafe(app, key)) return;
    Hidden(app, "is repeated although its outcome is unknown", "an operator's decision first");
  }

  bool IsSafe(const std::string& app, const std::string& key) const {
    const auto& rows = scene_.disk.durable.revisions;
    const std::string prefix = app + "/revisions/";
    for (auto it = rows.lower_bound(prefix); it != rows.end() && it->first.starts_with(prefix);
         ++it) {
      const api::AppRevision& revision = it->second.revision();
      if (revision.setup_key() == key && revision.spec().setup().retry_safe()) return true;
    }
    return false;
  }

  void CheckTransition(const std::string& app, const std::string& key,
                       const rec::SetupRecord* before, const rec::SetupRecord& after,
                       bool decided) {
    if (before == nullptr || before->state() == after.state()) return;
    if (before->state() == api::SETUP_STATE_OUTCOME_UNKNOWN) {
      CheckDecided(app, key, *before, after, decided);
    }
    if (before->state() != api::SETUP_STATE_RUNNING) return;
    const auto known = attempts_.find(before->instance_uid());
    const bool began = known != attempts_.end() && known->second.starts > 0;
    if (after.state() == api::SETUP_STATE_SUCCEEDED &&
        (!began || !known->second.ended || !known->second.well)) {
      Hidden(app, "is recorded as a success", "an exit with code 0");
    }
    // One that was told to stop in time has failed, however it ended.
    const bool well = began && known->second.well && !known->second.stopped;
    if (after.state() == api::SETUP_STATE_FAILED && well) {
      Hidden(app, "is recorded as a failure", "a success: it exited with code 0");
    }
    const bool unrecorded = after.state() == api::SETUP_STATE_UNSPECIFIED;
    if (unrecorded && began && !RetrySafe(app)) {
      Hidden(app, "is recorded as if it had not begun", "an outcome, or that it is unknown");
    }
  }

  bool RetrySafe(const std::string& app) const {
    const auto row = scene_.disk.durable.apps.find(app);
    return row != scene_.disk.durable.apps.end() && row->second.app().spec().setup().retry_safe();
  }

  void Hidden(const std::string& app, const std::string& seen, const std::string& expected) {
    scene_.world.Fail(7, absl::StrCat("the setup of ", app, " ", seen), expected);
  }

  void Fail(const Tree& tree, const std::string& seen, const std::string& expected) {
    scene_.world.Fail(7,
                      absl::StrCat("setup ", tree.id.instance_uid, " of slot ", tree.slot, " on n",
                                   tree.node + 1, " ", seen),
                      expected);
  }

  Scene& scene_;
  std::map<std::string, Attempt> attempts_;  // By uid of the instance.
  std::map<std::string, Tree> running_;
  std::set<std::string> forgiven_;
  std::set<std::string> seen_;  // Operations.
  // Successes that an operator said, by app and key, and the attempts that were there by then.
  std::map<std::pair<std::string, std::string>, std::set<std::string>> accepted_;
  bool replaced_ = false;  // A catalog that does not know what was done cannot keep this promise.
};

}  // namespace

std::unique_ptr<Observer> MakeSetups(Scene& scene) { return std::make_unique<Setups>(scene); }

}  // namespace appsup::simulation
