// appsup start, stop, restart, scale, rollback, undelete, setup: verbs on apps.
#include <limits>

#include "common/status.h"
#include "entry/cli/commands.h"
#include "entry/cli/names.h"
#include "entry/cli/operation_wait.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

struct AppsOptions {
  std::vector<std::string> apps;
};

template <class Request>
using AppMethod = grpc::Status (AppStub::*)(grpc::ClientContext*, const Request&, v1::Operation*);

template <class Request>
absl::StatusOr<v1::Operation> CallFor(Session& session, AppMethod<Request> method,
                                      const std::string& app, Request request = {}) {
  ASSIGN_OR_RETURN(*request.mutable_name(), AppName(session, app));
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  return client->Call(method, request);
}

// The same verb for several apps: all are asked first, then waited for. One that is refused does
// not keep the others from it; the code of the last refusal remains.
template <class Request>
Outcome ForEachApp(Session& session, AppMethod<Request> method, const AppsOptions& options) {
  std::vector<v1::Operation> operations;
  ExitCode refused = ExitCode::kOk;
  for (const std::string& app : options.apps) {
    const absl::StatusOr<v1::Operation> operation = CallFor<Request>(session, method, app);
    if (operation.ok()) {
      operations.push_back(*operation);
    } else {
      session.err << ErrorText(operation.status());
      refused = ExitCodeOf(operation.status());
    }
  }
  ASSIGN_OR_RETURN(const ExitCode waited, FinishOperations(session, operations));
  return refused == ExitCode::kOk ? waited : refused;
}

template <class Request>
void AddVerb(Commands& commands, CLI::App& parent, AppMethod<Request> method,
             const std::string& name, const std::string& description, const std::string& example) {
  CLI::App* command = commands.Add(parent, name, description, example);
  const auto options =
      commands.Bind<AppsOptions>(command, [method](Session& session, const AppsOptions& chosen) {
        return ForEachApp<Request>(session, method, chosen);
      });
  command->add_option("APP", options->apps, "apps")->required();
}

struct ScaleOptions {
  std::string app;
  int32_t replicas = 0;
};

Outcome Scale(Session& session, const ScaleOptions& options) {
  v1::ScaleAppRequest request;
  request.set_replicas(options.replicas);
  ASSIGN_OR_RETURN(const v1::Operation operation,
                   CallFor(session, &AppStub::ScaleApp, options.app, request));
  return FinishOperation(session, operation);
}

struct RollbackOptions {
  std::string app;
  int64_t revision = 0;
};

Outcome Rollback(Session& session, const RollbackOptions& options) {
  v1::RollbackAppRequest request;
  request.set_revision(options.revision);
  ASSIGN_OR_RETURN(const v1::Operation operation,
                   CallFor(session, &AppStub::RollbackApp, options.app, request));
  return FinishOperation(session, operation);
}

void AddScale(Commands& commands) {
  CLI::App* command =
      commands.Add(commands.root(), "scale", "Sets how many replicas an app has per environment",
                   "  appsup scale crm 3");
  const auto options = commands.Bind<ScaleOptions>(command, Scale);
  command->add_option("APP", options->app, "app")->required();
  command->add_option("REPLICAS", options->replicas, "0 or more")
      ->required()
      ->check(WholeNumber(0, 1000));
}

void AddRollback(Commands& commands) {
  CLI::App* command = commands.Add(commands.root(), "rollback",
                                   "Goes back to the revision before, or to the one that is named",
                                   "  appsup rollback crm\n  appsup rollback crm --revision 3");
  const auto options = commands.Bind<RollbackOptions>(command, Rollback);
  command->add_option("APP", options->app, "app")->required();
  command
      ->add_option("--revision", options->revision,
                   "its number, as `appsup get revisions APP` shows it")
      ->check(WholeNumber(1, std::numeric_limits<int64_t>::max()));
}

}  // namespace

void AddLifecycleCommands(Commands& commands) {
  CLI::App& root = commands.root();
  AddVerb<v1::StartAppRequest>(commands, root, &AppStub::StartApp, "start", "Starts apps",
                               "  appsup start crm");
  AddVerb<v1::StopAppRequest>(commands, root, &AppStub::StopApp, "stop",
                              "Stops apps; they stay stopped until they are started",
                              "  appsup stop crm\n  appsup stop crm notes --no-wait");
  AddVerb<v1::RestartAppRequest>(commands, root, &AppStub::RestartApp, "restart",
                                 "Restarts every instance of apps", "  appsup restart crm");
  AddScale(commands);
  AddRollback(commands);
  CLI::App* setup = commands.Add(root, "setup", "Decides about a setup that did not end well",
                                 "  appsup setup retry crm");
  setup->require_subcommand(1);
  AddVerb<v1::RetrySetupRequest>(commands, *setup, &AppStub::RetrySetup, "retry",
                                 "Tries a failed or unknown setup again",
                                 "  appsup setup retry crm");
  AddVerb<v1::AcceptSetupRequest>(commands, *setup, &AppStub::AcceptSetup, "accept",
                                  "Takes a setup with an unknown outcome as done",
                                  "  appsup setup accept crm");
  AddVerb<v1::UndeleteAppRequest>(commands, root, &AppStub::UndeleteApp, "undelete",
                                  "Brings deleted apps back, within 7 days of their deletion",
                                  "  appsup undelete crm");
}

}  // namespace appsup::cli
