// appsup operations: work with an end.
#include "common/status.h"
#include "entry/cli/commands.h"
#include "entry/cli/names.h"
#include "entry/cli/operation_wait.h"
#include "entry/cli/resource_list.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

struct OperationOptions {
  std::string name;
  bool rollback = false;
};

absl::StatusOr<v1::Operation> GetOperation(Session& session, const OperationOptions& options) {
  v1::GetOperationRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), OperationName(session, options.name));
  ASSIGN_OR_RETURN(Client * client, session.client());
  return client->Call(&OperationStub::GetOperation, request);
}

Outcome Wait(Session& session, const OperationOptions& options) {
  ASSIGN_OR_RETURN(const v1::Operation operation, GetOperation(session, options));
  return FinishOperation(session, operation);
}

// Every state on a line of its own, until it ended; how it ended is the exit code.
Outcome Watch(Session& session, const OperationOptions& options) {
  v1::WatchOperationRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), OperationName(session, options.name));
  ASSIGN_OR_RETURN(Client * client, session.client());
  const auto context = client->NewContext(session.settings.timeout);
  const auto reader = client->stub<OperationStub>().WatchOperation(context.get(), request);
  v1::Operation operation;
  while (reader->Read(&operation)) {
    if (PrintMessage(session, operation)) continue;
    session.out << ProgressText(session, operation) << "\n" << std::flush;
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return client->StatusOf(status);
  if (!operation.has_error()) return ExitCode::kOk;
  session.err << ErrorText(FromProto(operation.error()));
  return ExitCode::kFailed;
}

Outcome Cancel(Session& session, const OperationOptions& options) {
  v1::CancelOperationRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), OperationName(session, options.name));
  request.set_rollback(options.rollback);
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(const v1::Operation operation,
                   client->Call(&OperationStub::CancelOperation, request));
  if (!PrintMessage(session, operation)) {
    session.Say(fmt::format(
        "{}: {}", operation.name(),
        options.rollback ? "ended and being undone" : "ended; what was asked for stays in force"));
  }
  return ExitCode::kOk;
}

using Run = Outcome (*)(Session&, const OperationOptions&);

std::shared_ptr<OperationOptions> AddVerb(Commands& commands, CLI::App& group,
                                          const std::string& name, const std::string& description,
                                          Run run, CLI::App** added) {
  CLI::App* command = commands.Add(group, name, description,
                                   fmt::format("  appsup operations {} projects/default/operations/"
                                               "k7x2m4",
                                               name));
  auto options = commands.Bind<OperationOptions>(command, run);
  command->add_option("OPERATION", options->name, "its name, or the last part of it")->required();
  *added = command;
  return options;
}

}  // namespace

void AddOperationCommands(Commands& commands) {
  CLI::App* group =
      commands.Add(commands.root(), "operations", "Shows operations, waits for them, ends them",
                   "  appsup operations\n  appsup operations list --filter 'done = false'");
  AddListCommand(commands, *group, "operations");
  CLI::App* added = nullptr;
  AddVerb(commands, *group, "wait", "Waits until an operation ended", Wait, &added);
  AddVerb(commands, *group, "watch", "Prints how an operation goes on", Watch, &added);
  const auto options = AddVerb(commands, *group, "cancel",
                               "Ends an operation; undoes it only with --rollback", Cancel, &added);
  added->add_flag("--rollback", options->rollback, "go back to what was before");
}

}  // namespace appsup::cli
