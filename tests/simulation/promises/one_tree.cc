// 2: one slot never runs as two process trees on one node. 3: a fenced slot never runs in two
// places at one time.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

std::string Name(const Tree& tree) {
  return absl::StrCat("instance ", tree.id.instance_uid, " attempt ", tree.id.attempt,
                      tree.id.kind == agent::ProcessKind::kSetup ? " (setup)" : "", " revision ",
                      tree.revision, " slot ", tree.slot, " on n", tree.node + 1,
                      tree.fenced ? " (fenced)" : "");
}

class OneTree : public Observer {
 public:
  explicit OneTree(Scene& scene) : scene_(scene) {}

  void OnStoreReplaced() override {
    replaced_ = true;
    known_.clear();
    for (const auto& [uid, name] : scene_.disk.durable.instance_by_uid) known_.insert(uid);
  }

  // Its slot is given away because its fence has ended it.
  void OnInstanceRow(const rec::InstanceRecord* before, const rec::InstanceRecord* after) override {
    if (after == nullptr) return;
    known_.insert(after->instance().uid());
    if (before == nullptr && !after->fenced()) made_unfenced_.insert(after->instance().uid());
    if (after->loss() != rec::LOSS_ENDED || replaced_) return;
    if (before != nullptr && before->loss() == rec::LOSS_ENDED) return;
    for (const Tree& tree : live_) {
      if (tree.id.instance_uid != after->instance().uid()) continue;
      scene_.world.Fail(3,
                        absl::StrCat("the slot of ", after->instance().name(),
                                     " is given away while ", Name(tree), " runs"),
                        "only what has ended counts as ended by its fence");
    }
  }

  void OnTreeStarted(const Tree& tree) override {
    scene_.world.Note("node", "tree-began", tree.id.instance_uid, [&] { return Name(tree); });
    for (const Tree& other : live_) Compare(other, tree);
    live_.push_back(tree);
  }

  // Two that ran already when their app became a fenced one are no start of a second.
  void OnTreeFenced(const Tree& tree) override {
    for (Tree& other : live_) {
      if (Same(other, tree)) other.fenced = tree.fenced;
    }
  }

  void OnTreeEnded(const Tree& tree, const agent::ProcessExit& exit) override {
    scene_.world.Note("node", "tree-ended", tree.id.instance_uid, [&] {
      return absl::StrCat(Name(tree), exit.unknown ? " unknown" : "", " code ", exit.code,
                          " signal ", exit.signal);
    });
    std::erase_if(live_, [&](const Tree& other) { return Same(other, tree); });
  }

 private:
  static bool Same(const Tree& a, const Tree& b) { return a.node == b.node && a.id == b.id; }

  void Compare(const Tree& old, const Tree& fresh) {
    const bool same_kind = old.id.kind == fresh.id.kind;
    if (old.id.instance_uid == fresh.id.instance_uid && same_kind) {
      return Fail(2, old, fresh, "one process tree of an instance");
    }
    if (old.node == fresh.node) CompareOnNode(old, fresh);
    const bool looked_at = (IsKnown(old) && IsKnown(fresh)) ||
                           (old.node == fresh.node && fresh.id.kind == agent::ProcessKind::kMain);
    if (old.slot == fresh.slot && same_kind && old.fenced && fresh.fenced && looked_at &&
        !made_unfenced_.contains(fresh.id.instance_uid)) {
      Fail(3, old, fresh, "a fenced slot in one place");
    }
  }

  // What a restored catalog does not know of is nobody's double until somebody has looked at it,
  // but on its own node. What a catalog knew once, it has to answer for, whatever it forgot.
  bool IsKnown(const Tree& tree) const { return known_.contains(tree.id.instance_uid); }

  void CompareOnNode(const Tree& old, const Tree& fresh) {
    const bool apps =
        old.id.kind == agent::ProcessKind::kMain && fresh.id.kind == agent::ProcessKind::kMain;
    // While an update surges, the old and the new revision of a slot run side by side.
    if (apps && IsKnown(old) && old.slot == fresh.slot && old.revision == fresh.revision) {
      Fail(2, old, fresh, "one tree of a slot's revision on one node");
    }
    if (apps && !fresh.data_dir.empty() && old.data_dir == fresh.data_dir) {
      Fail(2, old, fresh, "one tree for a data folder");
    }
    for (const int32_t port : fresh.ports) {
      if (apps && std::find(old.ports.begin(), old.ports.end(), port) != old.ports.end()) {
        Fail(2, old, fresh, absl::StrCat("port ", port, " given once"));
      }
    }
  }

  void Fail(int promise, const Tree& old, const Tree& fresh, const std::string& expected) {
    scene_.world.Fail(promise, absl::StrCat(Name(fresh), " began while ", Name(old), " runs"),
                      expected);
  }

  Scene& scene_;
  std::vector<Tree> live_;
  std::set<std::string> known_;  // Instances that this catalog has had, by uid.
  // Placed, beside another as it may be, before the app became a fenced one.
  std::set<std::string> made_unfenced_;
  bool replaced_ = false;  // A catalog that does not know what it told cannot prove anything.
};

}  // namespace

std::unique_ptr<Observer> MakeOneTree(Scene& scene) { return std::make_unique<OneTree>(scene); }

}  // namespace appsup::simulation
