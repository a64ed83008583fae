#include "entry/cli/operation_wait.h"

#include "common/status.h"
#include "entry/cli/app_text.h"
#include "entry/cli/names.h"
#include "entry/cli/progress.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

// Reads the operation's changes until it ended, the stream broke or the deadline passed.
absl::Status FollowOnce(Session& session, ProgressLine& line, absl::Time start, absl::Time deadline,
                        v1::Operation* newest) {
  ASSIGN_OR_RETURN(Client * client, session.client());
  const auto context = client->NewContext(deadline - session.Now());
  v1::WatchOperationRequest request;
  request.set_name(newest->name());
  const auto reader = client->stub<OperationStub>().WatchOperation(context.get(), request);
  v1::Operation operation;
  while (reader->Read(&operation)) {
    *newest = operation;
    line.Show(ProgressText(session, operation), session.Now() - start);
    if (operation.done()) break;
  }
  if (newest->done()) context->TryCancel();
  const grpc::Status status = reader->Finish();
  return newest->done() ? absl::OkStatus() : client->StatusOf(status);
}

std::string StateText(const v1::App& app, const Session& session) {
  std::string text = fmt::format("{}, {}/{} ready", WordOf(app.status().state()),
                                 app.status().ready_replicas(), app.status().replicas());
  const std::string url = UrlOf(app);
  if (!url.empty()) text += ", " + Shaded(url, Shade::kGood, session.color());
  return text;
}

void TellSuccess(Session& session, const v1::Operation& operation) {
  if (PrintMessage(session, operation)) return;
  if (session.settings.output == OutputForm::kName) {
    session.out << operation.target() << "\n" << std::flush;
    return;
  }
  const std::string name = ShortName(session, operation.target());
  v1::App app;
  if (operation.kind() == "DELETE") {
    session.Say(fmt::format("{}: deleted", name));
  } else if (operation.response().UnpackTo(&app)) {
    session.Say(fmt::format("{}: {}", name, StateText(app, session)));
  } else {
    session.Say(fmt::format("{}: done", name));
  }
}

// Why the app is as it is, and the log lines that it left behind.
void TellWhy(Session& session, const std::string& target) {
  absl::StatusOr<Client*> client = session.client();
  if (!client.ok() || target.find("/apps/") == std::string::npos) return;
  v1::GetAppRequest request;
  request.set_name(target);
  const absl::StatusOr<v1::App> app = (*client)->Call(&AppStub::GetApp, request);
  if (!app.ok()) return;
  if (app->status().has_last_failure()) {
    session.err << FailureText(app->status().last_failure(), session.Now(), "  ");
  } else if (const std::string reason = ReasonOf(*app, session.Now()); !reason.empty()) {
    session.err << fmt::format("  {}\n", OneLine(reason));
  }
}

ExitCode TellFailure(Session& session, const v1::Operation& operation) {
  PrintMessage(session, operation);
  const absl::Status error = FromProto(operation.error());
  session.err << ErrorText(Annotate(error, ShortName(session, operation.target())));
  if (!operation.superseded_by().empty()) {
    session.err << fmt::format("  superseded by {}\n", operation.superseded_by());
  } else {
    TellWhy(session, operation.target());
  }
  session.err << std::flush;
  return ExitCode::kFailed;
}

void TellStarted(Session& session, const v1::Operation& operation) {
  if (PrintMessage(session, operation)) return;
  if (session.settings.output == OutputForm::kName) {
    session.out << operation.name() << "\n" << std::flush;
    return;
  }
  session.Say(fmt::format("{}: {} accepted as {}", ShortName(session, operation.target()),
                          operation.kind(), operation.name()));
}

}  // namespace

std::string ProgressText(const Session& session, const v1::Operation& operation) {
  std::string text = fmt::format("{}: ", ShortName(session, operation.target()));
  const v1::OperationProgress& progress = operation.progress();
  if (progress.steps() > 0) text += fmt::format("{} of {}", progress.step(), progress.steps());
  if (!progress.message().empty()) {
    text += (progress.steps() > 0 ? ", " : "") + progress.message();
  } else if (progress.steps() == 0) {
    text += operation.done() ? "done" : "waiting";
  }
  return text;
}

absl::StatusOr<v1::Operation> WaitForEnd(Session& session, const v1::Operation& operation,
                                         absl::Time deadline) {
  v1::Operation newest = operation;
  const absl::Time start = session.Now();
  ProgressLine line(session.err, session.surroundings.err_is_terminal, session.surroundings.width,
                    session.settings.quiet);
  for (uint32_t attempt = 0; !newest.done(); ++attempt) {
    if (session.Now() >= deadline) {
      return absl::DeadlineExceededError(fmt::format(
          "{} did not end within {}; it goes on: `appsup operations wait {}` waits again",
          newest.name(), absl::FormatDuration(session.settings.timeout), newest.name()));
    }
    const absl::Status status = FollowOnce(session, line, start, deadline, &newest);
    if (newest.done()) break;
    // A stream that ended early and an entry that is away are both tried again.
    if (!status.ok() && !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
      return status;
    }
    if (absl::IsUnavailable(status)) {
      line.Show(fmt::format("{}: waiting for the entry to come back", IdOf(newest.target())),
                session.Now() - start);
    }
    session.PauseBeforeRetry(attempt, deadline - session.Now());
  }
  return newest;
}

Outcome FinishOperations(Session& session, const std::vector<v1::Operation>& operations) {
  ExitCode worst = ExitCode::kOk;
  const absl::Time deadline = session.Now() + session.settings.timeout;
  for (const v1::Operation& operation : operations) {
    if (session.settings.no_wait) {
      TellStarted(session, operation);
      continue;
    }
    const absl::StatusOr<v1::Operation> ended = WaitForEnd(session, operation, deadline);
    if (!ended.ok()) {
      session.err << ErrorText(ended.status()) << std::flush;
      worst = ExitCodeOf(ended.status());
    } else if (ended->has_error()) {
      worst = TellFailure(session, *ended);
    } else {
      TellSuccess(session, *ended);
    }
  }
  return worst;
}

}  // namespace appsup::cli
