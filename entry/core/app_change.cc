#include "entry/core/app_change.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/dirty.h"
#include "entry/core/operation.h"
#include "entry/core/resource_change.h"
#include "entry/core/revision.h"
#include "entry/core/serialize.h"

namespace appsup::entry {
namespace {

NewOperation Describe(CallContext& context, const std::string& name, const std::string& kind) {
  NewOperation operation;
  operation.target = name;
  operation.kind = kind;
  operation.actor = context.call.principal.name;
  const rec::AppRecord* record = context.catalog.apps.Find(name);
  operation.generation = record == nullptr ? 0 : record->app().generation();
  return operation;
}

// The spec failed in a rollout and an older revision is the target again: the operator wants
// another try.
bool IsRolledBack(const rec::AppRecord& record) {
  return record.failed_revision() != 0 && record.target_revision() != record.last_revision();
}

// Fields that operators write, without the spec.
void CopyMetadata(const api::App& from, api::App* to) {
  to->set_display_name(from.display_name());
  to->set_description(from.description());
  to->set_icon(from.icon());
  to->set_sort(from.sort());
  to->set_hidden(from.hidden());
  *to->mutable_labels() = from.labels();
  *to->mutable_annotations() = from.annotations();
}

void WriteSpec(CallContext& context, const std::string& name, const api::AppSpec& spec) {
  const api::AppSpec old_part = RevisionPart(context.catalog.apps.Find(name)->app().spec());
  const api::AppSpec new_part = RevisionPart(spec);
  rec::AppRecord& record = context.catalog.apps.Mutate(name);
  *record.mutable_app()->mutable_spec() = spec;
  record.mutable_app()->set_generation(record.app().generation() + 1);
  record.set_spec_index(context.catalog.pending_index());
  if (!SameContent(old_part, new_part)) {
    AddRevision(context.options, context.catalog, name, new_part, context.call.principal.name,
                context.now);
  }
}

}  // namespace

const std::set<std::string>& WritableAppFields() {
  static const auto& fields = *new std::set<std::string>{
      "display_name", "description", "icon", "sort", "hidden", "labels", "annotations", "spec"};
  return fields;
}

absl::StatusOr<const rec::AppRecord*> FindApp(CallContext& context, const std::string& name) {
  const rec::AppRecord* record = context.catalog.apps.Find(name);
  if (record != nullptr) return record;
  std::vector<std::string> ids;
  RETURN_IF_ERROR(ParseName("name", "projects/*/apps/*", name, &ids));
  return NotFound("App", name);
}

absl::Status CheckNotDeleted(const rec::AppRecord& record) {
  if (!record.app().has_delete_time()) return absl::OkStatus();
  return WrongState("APP_DELETED", record.app().name(),
                    record.purge() ? "is being purged; create it anew when it is gone"
                                   : "is deleted; undelete it first");
}

absl::StatusOr<const rec::AppRecord*> FindLiveApp(CallContext& context, const std::string& name,
                                                  const std::string& etag) {
  ASSIGN_OR_RETURN(const rec::AppRecord* record, FindApp(context, name));
  RETURN_IF_ERROR(CheckNotDeleted(*record));
  RETURN_IF_ERROR(CheckEtag(etag, record->app().etag(), name));
  return record;
}

api::Operation InsertApp(CallContext& context, const std::string& name, api::App app) {
  rec::AppRecord record;
  CopyMetadata(app, record.mutable_app());
  *record.mutable_app()->mutable_spec() = std::move(*app.mutable_spec());
  record.mutable_app()->mutable_spec()->clear_restart_nonce();
  record.mutable_app()->set_generation(1);
  MarkCreated(context, name, *record.mutable_app());
  record.set_spec_index(context.catalog.pending_index());
  const api::AppSpec part = RevisionPart(record.app().spec());
  context.catalog.apps.Insert(name, std::move(record));
  AddRevision(context.options, context.catalog, name, part, context.call.principal.name,
              context.now);
  return OpenAppOperation(context, name, "CREATE");
}

api::Operation WriteApp(CallContext& context, const api::App& changed, const std::string& kind) {
  const std::string name = changed.name();
  const rec::AppRecord& before = *context.catalog.apps.Find(name);
  const int64_t old_target = before.target_revision();
  const bool same_spec = SameContent(before.app().spec(), changed.spec());
  const bool retry = same_spec && IsRolledBack(before);
  api::App metadata;
  CopyMetadata(before.app(), &metadata);
  api::App new_metadata;
  CopyMetadata(changed, &new_metadata);
  if (same_spec && !retry && SameContent(metadata, new_metadata)) {
    return FinishedAppOperation(context, name, kind);
  }
  rec::AppRecord& record = context.catalog.apps.Mutate(name);
  CopyMetadata(changed, record.mutable_app());
  MarkWritten(context, *record.mutable_app());
  if (same_spec && !retry) return FinishedAppOperation(context, name, kind);
  if (retry) {
    record.set_target_revision(record.last_revision());
    record.set_failed_revision(0);
  }
  WriteSpec(context, name, changed.spec());
  const bool revised = record.target_revision() != old_target;
  return OpenAppOperation(context, name, kind, revised ? old_target : 0);
}

api::Operation RestartAll(CallContext& context, const std::string& name, const std::string& kind) {
  api::App changed = context.catalog.apps.Find(name)->app();
  changed.mutable_spec()->set_restart_nonce(changed.spec().restart_nonce() + 1);
  return WriteApp(context, changed, kind);
}

api::Operation OpenAppOperation(CallContext& context, const std::string& name,
                                const std::string& kind, int64_t rollback_revision) {
  NewOperation operation = Describe(context, name, kind);
  operation.rollback_revision = rollback_revision;
  const std::string id = StartOperation(context.catalog, context.ids, operation, context.now);
  context.dirty.App(name);
  return context.catalog.operations.Find(id)->operation();
}

api::Operation FinishedAppOperation(CallContext& context, const std::string& name,
                                    const std::string& kind) {
  const std::string id = AddFinishedOperation(context.catalog, context.ids,
                                              Describe(context, name, kind), context.now);
  return context.catalog.operations.Find(id)->operation();
}

api::Operation ValidatedOperation(CallContext& context, const api::App& app,
                                  const std::string& kind) {
  api::Operation operation;
  operation.set_target(app.name());
  operation.set_kind(kind);
  operation.set_actor(context.call.principal.name);
  operation.set_done(true);
  operation.mutable_response()->PackFrom(app);
  return operation;
}

}  // namespace appsup::entry
