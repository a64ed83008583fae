#include "entry/core/operation.h"

#include <utility>

#include "appsupervisor/v1/operation.pb.h"
#include "common/status.h"
#include "entry/core/proto_time.h"
#include "fmt/format.h"
#include "google/rpc/status.pb.h"

namespace appsup::entry {
namespace {

// Sorts by time: milliseconds in base 32, then a random tail for those of one millisecond.
std::string NewOperationId(Random& ids, absl::Time now) {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuv";
  const uint64_t millis = static_cast<uint64_t>(absl::ToUnixMillis(now));
  std::string id = "op";
  for (int shift = 40; shift >= 0; shift -= 5) id += kDigits[millis >> shift & 31];
  const uint64_t tail = ids.Next();
  for (int shift = 20; shift >= 0; shift -= 5) id += kDigits[tail >> shift & 31];
  return id;
}

bool IsNode(const std::string& target) { return target.starts_with("nodes/"); }

std::string OpenOperationName(const Catalog& catalog, const std::string& target) {
  if (IsNode(target)) {
    const rec::NodeRecord* node = catalog.nodes.Find(target);
    return node == nullptr ? "" : node->drain_operation();
  }
  const rec::AppRecord* app = catalog.apps.Find(target);
  return app == nullptr ? "" : app->operation();
}

void SetOpenOperation(Catalog& catalog, const std::string& target, const std::string& name) {
  if (OpenOperationName(catalog, target) == name) return;
  if (IsNode(target)) {
    if (catalog.nodes.Find(target) != nullptr) {
      catalog.nodes.Mutate(target).set_drain_operation(name);
    }
  } else if (catalog.apps.Find(target) != nullptr) {
    catalog.apps.Mutate(target).set_operation(name);
  }
}

rec::OperationRecord NewRecord(const Catalog& catalog, Random& ids, const NewOperation& operation,
                               const Moment& now) {
  rec::OperationRecord record;
  record.set_rollback_revision(operation.rollback_revision);
  api::Operation& view = *record.mutable_operation();
  const std::string parent =
      IsNode(operation.target) ? "operations/" : ProjectOf(operation.target) + "/operations/";
  do {
    view.set_name(parent + NewOperationId(ids, now.wall));
  } while (catalog.operations.Find(view.name()) != nullptr);
  view.set_target(operation.target);
  view.set_kind(operation.kind);
  view.set_actor(operation.actor);
  view.set_generation(operation.generation);
  *view.mutable_create_time() = ToTimestamp(now.wall);
  return record;
}

void SetResponse(const Catalog& catalog, api::Operation& operation) {
  if (IsNode(operation.target())) {
    if (catalog.nodes.Find(operation.target()) != nullptr) {
      operation.mutable_response()->PackFrom(catalog.NodeView(operation.target()));
    }
  } else if (catalog.apps.Find(operation.target()) != nullptr) {
    operation.mutable_response()->PackFrom(catalog.AppView(operation.target()));
  }
}

void Supersede(Catalog& catalog, const std::string& name, const std::string& successor,
               const Moment& now) {
  const rec::OperationRecord* open = catalog.operations.Find(name);
  if (open == nullptr || open->operation().done()) return;
  catalog.operations.Mutate(name).mutable_operation()->set_superseded_by(successor);
  FinishOperation(catalog, name,
                  MakeError(absl::StatusCode::kAborted, "SUPERSEDED",
                            "A later change took its place; wait for " + successor + " instead.",
                            {{"superseded_by", successor}}),
                  now);
}

}  // namespace

std::string StartOperation(Catalog& catalog, Random& ids, const NewOperation& operation,
                           const Moment& now) {
  rec::OperationRecord record = NewRecord(catalog, ids, operation, now);
  const std::string name = record.operation().name();
  if (std::string open = OpenOperationName(catalog, operation.target); !open.empty()) {
    Supersede(catalog, open, name, now);
  }
  catalog.AddOperation(std::move(record));
  catalog.SetActor(name, operation.actor);
  SetOpenOperation(catalog, operation.target, name);
  return name;
}

std::string AddFinishedOperation(Catalog& catalog, Random& ids, const NewOperation& operation,
                                 const Moment& now) {
  rec::OperationRecord record = NewRecord(catalog, ids, operation, now);
  api::Operation& view = *record.mutable_operation();
  const std::string name = view.name();
  view.set_done(true);
  *view.mutable_end_time() = view.create_time();
  SetResponse(catalog, view);
  catalog.AddOperation(std::move(record));
  catalog.SetActor(name, operation.actor);
  return name;
}

void FinishOperation(Catalog& catalog, const std::string& name, const absl::Status& outcome,
                     const Moment& now) {
  const rec::OperationRecord* record = catalog.operations.Find(name);
  if (record == nullptr || record->operation().done()) return;
  const std::string target = record->operation().target();
  if (OpenOperationName(catalog, target) == name) SetOpenOperation(catalog, target, "");
  api::Operation& view = *catalog.operations.Mutate(name).mutable_operation();
  view.set_done(true);
  *view.mutable_end_time() = ToTimestamp(now.wall);
  if (outcome.ok()) {
    SetResponse(catalog, view);
  } else {
    *view.mutable_error() = ToProto(outcome);
  }
}

void SetOperationProgress(Catalog& catalog, const std::string& name, int step, int steps,
                          const std::string& message) {
  const rec::OperationRecord* record = catalog.operations.Find(name);
  if (record == nullptr || record->operation().done()) return;
  const api::OperationProgress& progress = record->operation().progress();
  if (progress.step() == step && progress.steps() == steps && progress.message() == message) return;
  api::OperationProgress& changed =
      *catalog.operations.Mutate(name).mutable_operation()->mutable_progress();
  changed.set_step(step);
  changed.set_steps(steps);
  changed.set_message(message);
}

const rec::OperationRecord* OpenOperation(const Catalog& catalog, const std::string& target) {
  const std::string name = OpenOperationName(catalog, target);
  if (name.empty()) return nullptr;
  const rec::OperationRecord* record = catalog.operations.Find(name);
  return record == nullptr || record->operation().done() ? nullptr : record;
}

}  // namespace appsup::entry
