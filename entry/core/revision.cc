#include "entry/core/revision.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "common/digest.h"
#include "entry/core/proto_time.h"
#include "entry/core/serialize.h"

namespace appsup::entry {
namespace {

// What still refers to it.
std::set<int64_t> RevisionsInUse(const Catalog& catalog, const rec::AppRecord& app) {
  std::set<int64_t> used{app.target_revision(), app.good_revision(), app.failed_revision()};
  for (const std::string& name : catalog.InstancesOfApp(app.app().name())) {
    used.insert(catalog.instances.Find(name)->instance().revision());
  }
  return used;
}

void ForgetOldRevisions(const CoreOptions& options, Catalog& catalog, const std::string& app_name) {
  const std::vector<int64_t> numbers = RevisionsOf(catalog, app_name);
  const size_t kept = static_cast<size_t>(options.revisions_kept);
  if (numbers.size() <= kept) return;
  const std::set<int64_t> used = RevisionsInUse(catalog, *catalog.apps.Find(app_name));
  for (size_t at = kept; at < numbers.size(); ++at) {
    if (!used.contains(numbers[at])) catalog.revisions.Erase(RevisionName(app_name, numbers[at]));
  }
}

}  // namespace

api::AppSpec RevisionPart(const api::AppSpec& spec) {
  api::AppSpec part = spec;
  part.clear_run_state();
  part.clear_replicas();
  part.clear_placement();
  part.clear_restart_nonce();
  part.clear_update();
  part.clear_disconnect();
  return part;
}

api::AppSpec WithRevisionPart(api::AppSpec spec, const api::AppSpec& part) {
  api::AppSpec merged = part;
  merged.set_run_state(spec.run_state());
  if (spec.has_replicas()) merged.set_replicas(spec.replicas());
  if (spec.has_placement()) merged.mutable_placement()->Swap(spec.mutable_placement());
  merged.set_restart_nonce(spec.restart_nonce());
  if (spec.has_update()) merged.mutable_update()->Swap(spec.mutable_update());
  if (spec.has_disconnect()) merged.mutable_disconnect()->Swap(spec.mutable_disconnect());
  return merged;
}

std::string SetupKey(const api::AppSpec& part) {
  if (!part.has_setup()) return "";
  if (!part.setup().version().empty()) return part.setup().version();
  return Sha256Hex(Serialize(part.artifact()) + "|" + Serialize(part.setup()));
}

std::string RevisionName(const std::string& app_name, int64_t number) {
  return app_name + "/revisions/" + std::to_string(number);
}

std::vector<int64_t> RevisionsOf(const Catalog& catalog, const std::string& app_name) {
  std::vector<int64_t> numbers;
  const std::string prefix = app_name + "/revisions/";
  const auto& rows = catalog.revisions.rows();
  for (auto row = rows.lower_bound(prefix); row != rows.end() && row->first.starts_with(prefix);
       ++row) {
    numbers.push_back(row->second.revision().number());
  }
  std::sort(numbers.begin(), numbers.end(), std::greater<>());
  return numbers;
}

int64_t AddRevision(const CoreOptions& options, Catalog& catalog, const std::string& app_name,
                    const api::AppSpec& part, const std::string& actor, const Moment& now) {
  rec::AppRecord& app = catalog.apps.Mutate(app_name);
  const int64_t number = app.last_revision() + 1;
  app.set_last_revision(number);
  app.set_target_revision(number);
  app.set_failed_revision(0);
  rec::RevisionRecord record;
  api::AppRevision& revision = *record.mutable_revision();
  revision.set_name(RevisionName(app_name, number));
  revision.set_number(number);
  *revision.mutable_spec() = part;
  *revision.mutable_create_time() = ToTimestamp(now.wall);
  revision.set_actor(actor);
  revision.set_setup_key(SetupKey(part));
  catalog.SetActor(revision.name(), actor);
  const std::string name = revision.name();
  catalog.revisions.Insert(name, std::move(record));
  ForgetOldRevisions(options, catalog, app_name);
  return number;
}

}  // namespace appsup::entry
