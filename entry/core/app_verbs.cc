// AppService: start, stop, restart, scale, roll back, setup.
#include <algorithm>
#include <vector>

#include "common/status.h"
#include "entry/core/app_change.h"
#include "entry/core/app_methods.h"
#include "entry/core/app_validation.h"
#include "entry/core/dirty.h"
#include "entry/core/disconnect.h"
#include "entry/core/operation.h"
#include "entry/core/resource_change.h"
#include "entry/core/revision.h"

namespace appsup::entry {
namespace {

bool IsStopped(const api::App& app) { return app.spec().run_state() == api::RUN_STATE_STOPPED; }

api::AppState StateOf(const CallContext& context, const std::string& name) {
  const api::AppStatus* status = context.catalog.app_statuses.Find(name);
  return status == nullptr ? api::APP_STATE_PENDING : status->state();
}

// The app is wanted as it is wanted already: the operation on its way is the one to wait for.
api::Operation AlreadyWanted(CallContext& context, const std::string& name, const std::string& kind,
                             bool reached) {
  if (const rec::OperationRecord* open = OpenOperation(context.catalog, name)) {
    return open->operation();
  }
  return reached ? FinishedAppOperation(context, name, kind)
                 : OpenAppOperation(context, name, kind);
}

api::Operation SetRunState(CallContext& context, const rec::AppRecord& record,
                           api::RunState run_state, const std::string& kind) {
  api::App changed = record.app();
  changed.mutable_spec()->set_run_state(run_state);
  return WriteApp(context, changed, kind);
}

absl::StatusOr<api::Operation> StartApp(CallContext& context, const api::StartAppRequest& request) {
  ASSIGN_OR_RETURN(const rec::AppRecord* record,
                   FindLiveApp(context, request.name(), request.etag()));
  if (IsStopped(record->app())) {
    return SetRunState(context, *record, api::RUN_STATE_RUNNING, "START");
  }
  const api::AppState state = StateOf(context, request.name());
  if (state == api::APP_STATE_FAILED) return RestartAll(context, request.name(), "START");
  return AlreadyWanted(context, request.name(), "START", state == api::APP_STATE_RUNNING);
}

absl::StatusOr<api::Operation> StopApp(CallContext& context, const api::StopAppRequest& request) {
  ASSIGN_OR_RETURN(const rec::AppRecord* record, FindApp(context, request.name()));
  RETURN_IF_ERROR(CheckEtag(request.etag(), record->app().etag(), request.name()));
  if (record->app().has_delete_time()) {
    // It stops anyway; after an undelete it shall stay so. The deletion is not superseded.
    if (!IsStopped(record->app())) {
      api::App& app = *context.catalog.apps.Mutate(request.name()).mutable_app();
      app.mutable_spec()->set_run_state(api::RUN_STATE_STOPPED);
      app.set_generation(app.generation() + 1);
      MarkWritten(context, app);
      context.dirty.App(request.name());
    }
    return FinishedAppOperation(context, request.name(), "STOP");
  }
  if (!IsStopped(record->app())) {
    return SetRunState(context, *record, api::RUN_STATE_STOPPED, "STOP");
  }
  return AlreadyWanted(context, request.name(), "STOP",
                       StateOf(context, request.name()) == api::APP_STATE_STOPPED);
}

absl::StatusOr<api::Operation> RestartApp(CallContext& context,
                                          const api::RestartAppRequest& request) {
  ASSIGN_OR_RETURN(const rec::AppRecord* record,
                   FindLiveApp(context, request.name(), request.etag()));
  if (IsStopped(record->app())) {
    return WrongState("APP_STOPPED", request.name(), "is stopped; start it instead");
  }
  return RestartAll(context, request.name(), "RESTART");
}

absl::StatusOr<api::Operation> ScaleApp(CallContext& context, const api::ScaleAppRequest& request) {
  Violations violations;
  ValidateReplicas("replicas", request.replicas(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  ASSIGN_OR_RETURN(const rec::AppRecord* record,
                   FindLiveApp(context, request.name(), request.etag()));
  api::App changed = record->app();
  if (!changed.spec().has_replicas() && request.replicas() == 1) {
    return FinishedAppOperation(context, request.name(), "SCALE");
  }
  changed.mutable_spec()->set_replicas(request.replicas());
  return WriteApp(context, changed, "SCALE");
}

// The newest revision before the target, or nullptr.
const rec::RevisionRecord* RevisionBefore(const Catalog& catalog, const rec::AppRecord& record) {
  for (int64_t number : RevisionsOf(catalog, record.app().name())) {
    if (number < record.target_revision()) {
      return catalog.revisions.Find(RevisionName(record.app().name(), number));
    }
  }
  return nullptr;
}

absl::StatusOr<api::Operation> RollbackApp(CallContext& context,
                                           const api::RollbackAppRequest& request) {
  Violations violations;
  if (request.revision() < 0) {
    violations.Add("revision", "must be the number of a revision, or 0 for the one before");
  }
  RETURN_IF_ERROR(violations.ToStatus());
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::AppRecord* record, FindLiveApp(context, name, request.etag()));
  if (request.revision() == 0) {
    const rec::RevisionRecord* before = RevisionBefore(context.catalog, *record);
    if (before == nullptr) {
      return WrongState("NO_EARLIER_REVISION", name, "has no earlier revision to go back to");
    }
    return RollBackTo(context, name, *before);
  }
  const std::string revision_name = RevisionName(name, request.revision());
  const rec::RevisionRecord* revision = context.catalog.revisions.Find(revision_name);
  if (revision == nullptr) return NotFound("AppRevision", revision_name);
  return RollBackTo(context, name, *revision);
}

// A revision of the app, target or failed, whose setup is in one of these states; 0: none.
int64_t FindSetup(const CallContext& context, const rec::AppRecord& record,
                  std::initializer_list<api::SetupState> states) {
  for (int64_t number : {record.target_revision(), record.failed_revision()}) {
    const auto* revision =
        context.catalog.revisions.Find(RevisionName(record.app().name(), number));
    if (revision == nullptr) continue;
    auto setup = record.setups().find(revision->revision().setup_key());
    if (setup == record.setups().end()) continue;
    if (std::find(states.begin(), states.end(), setup->second.state()) != states.end()) {
      return number;
    }
  }
  return 0;
}

// Whoever says that setup is to be tried again has made sure that no earlier attempt still runs
// where nobody sees it.
void GiveUpSilentAttempts(CallContext& context, const std::string& app_name) {
  const std::set<std::string> names = context.catalog.InstancesOfApp(app_name);
  for (const std::string& name : names) {
    const rec::InstanceRecord& record = *context.catalog.instances.Find(name);
    if (!record.instance().setup() || !HoldsItsSlot(record)) continue;
    context.catalog.instances.Mutate(name).set_loss(rec::LOSS_REPLACED);
  }
}

// Sets the state that the setup of this revision is in, and makes the revision the target.
api::Operation DecideSetup(CallContext& context, const std::string& name, int64_t number,
                           api::SetupState state) {
  const std::string key =
      context.catalog.revisions.Find(RevisionName(name, number))->revision().setup_key();
  rec::AppRecord& record = context.catalog.apps.Mutate(name);
  rec::SetupRecord& setup = (*record.mutable_setups())[key];
  setup.set_state(state);
  if (state == api::SETUP_STATE_SUCCEEDED) {
    setup.set_message("Accepted by " + context.call.principal.name + ".");
  }
  record.set_target_revision(number);
  record.set_failed_revision(0);
  if (state == api::SETUP_STATE_UNSPECIFIED) GiveUpSilentAttempts(context, name);
  context.catalog.SetActor(name, context.call.principal.name);
  return OpenAppOperation(context, name, "SETUP");
}

absl::StatusOr<api::Operation> RetrySetup(CallContext& context,
                                          const api::RetrySetupRequest& request) {
  ASSIGN_OR_RETURN(const rec::AppRecord* record, FindLiveApp(context, request.name(), ""));
  const int64_t number =
      FindSetup(context, *record, {api::SETUP_STATE_FAILED, api::SETUP_STATE_OUTCOME_UNKNOWN});
  if (number == 0) {
    return WrongState("NO_SETUP_TO_RETRY", request.name(),
                      "has no setup that failed or whose outcome is unknown");
  }
  return DecideSetup(context, request.name(), number, api::SETUP_STATE_UNSPECIFIED);
}

absl::StatusOr<api::Operation> AcceptSetup(CallContext& context,
                                           const api::AcceptSetupRequest& request) {
  ASSIGN_OR_RETURN(const rec::AppRecord* record, FindLiveApp(context, request.name(), ""));
  const int64_t number = FindSetup(context, *record, {api::SETUP_STATE_OUTCOME_UNKNOWN});
  if (number == 0) {
    return WrongState("NO_SETUP_TO_ACCEPT", request.name(),
                      "has no setup whose outcome is unknown");
  }
  return DecideSetup(context, request.name(), number, api::SETUP_STATE_SUCCEEDED);
}

}  // namespace

api::Operation RollBackTo(CallContext& context, const std::string& app_name,
                          const rec::RevisionRecord& revision) {
  api::App changed = context.catalog.apps.Find(app_name)->app();
  *changed.mutable_spec() = WithRevisionPart(changed.spec(), revision.revision().spec());
  return WriteApp(context, changed, "ROLLBACK");
}

void AddAppVerbs(MethodTable& table) {
  const std::string service = "appsupervisor.v1.AppService/";
  table.AddUnary<api::StartAppRequest>(service + "StartApp", StartApp);
  table.AddUnary<api::StopAppRequest>(service + "StopApp", StopApp);
  table.AddUnary<api::RestartAppRequest>(service + "RestartApp", RestartApp);
  table.AddUnary<api::ScaleAppRequest>(service + "ScaleApp", ScaleApp);
  table.AddUnary<api::RollbackAppRequest>(service + "RollbackApp", RollbackApp);
  table.AddUnary<api::RetrySetupRequest>(service + "RetrySetup", RetrySetup);
  table.AddUnary<api::AcceptSetupRequest>(service + "AcceptSetup", AcceptSetup);
}

}  // namespace appsup::entry
