// 6: (attempt, sequence) never goes backwards; final states reach the entry.
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

std::pair<int64_t, int64_t> OrderOf(const rec::InstanceRecord& record) {
  return {record.instance().attempt(), record.instance().sequence()};
}

class Reports : public Observer {
 public:
  explicit Reports(Scene& scene) : scene_(scene) {}

  void OnInstanceRow(const rec::InstanceRecord* before, const rec::InstanceRecord* after) override {
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
  Scene& scene_;
};

}  // namespace

std::unique_ptr<Observer> MakeReports(Scene& scene) { return std::make_unique<Reports>(scene); }

}  // namespace appsup::simulation
