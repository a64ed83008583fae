// 4, of drains: a node that is to be emptied does not get more to host.
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

class Drains : public Observer {
 public:
  explicit Drains(Scene& scene) : scene_(scene) {}

  void OnCommitted(const entry::Transaction&, int64_t) override { Remember(); }
  void OnStoreReplaced() override { Remember(); }

  void OnInstanceRow(const rec::InstanceRecord* before, const rec::InstanceRecord* after) override {
    if (before != nullptr || after == nullptr) return;
    const std::string& node = after->instance().node();
    // It may have been created and the drain been asked for in one transaction.
    if (!drained_.contains(node) || !IsToBeEmptied(node) || IsBound(*after)) return;
    scene_.world.Fail(4, absl::StrCat(after->instance().name(), " was placed on ", node),
                      "nothing new on a node that is to be emptied");
  }

 private:
  bool IsToBeEmptied(const std::string& node) const {
    const auto row = scene_.disk.durable.nodes.find("nodes/" + node);
    return row != scene_.disk.durable.nodes.end() &&
           row->second.node().desired() == api::NODE_DESIRED_DRAINED;
  }

  // Its data is there.
  bool IsBound(const rec::InstanceRecord& record) const {
    const auto revision = scene_.disk.durable.revisions.find(absl::StrCat(
        entry::AppOf(record.instance().name()), "/revisions/", record.instance().revision()));
    return revision != scene_.disk.durable.revisions.end() &&
           revision->second.revision().spec().data().kind() == api::DATA_KIND_NODE;
  }

  void Remember() {
    drained_.clear();
    for (const auto& [name, record] : scene_.disk.durable.nodes) {
      const std::string node = name.substr(name.rfind('/') + 1);
      if (IsToBeEmptied(node)) drained_.insert(node);
    }
  }

  Scene& scene_;
  std::set<std::string> drained_;  // As of the last transaction.
};

}  // namespace

std::unique_ptr<Observer> MakeDrains(Scene& scene) { return std::make_unique<Drains>(scene); }

}  // namespace appsup::simulation
