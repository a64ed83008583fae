// appsup environments, projects: what holds nodes, and what holds apps.
#include "common/status.h"
#include "entry/cli/commands.h"
#include "entry/cli/names.h"
#include "entry/cli/resource_list.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

struct CreateOptions {
  std::string name;
  std::string display_name;
  std::vector<std::string> labels;
  std::vector<std::string> allowed_projects;
};

struct DeleteOptions {
  std::string name;
};

template <class Resource>
absl::Status Fill(const CreateOptions& options, Resource* resource) {
  resource->set_display_name(options.display_name);
  for (const std::string& label : options.labels) {
    ASSIGN_OR_RETURN(const auto pair, KeyAndValue("--label", label));
    (*resource->mutable_labels())[pair.first] = pair.second;
  }
  return absl::OkStatus();
}

Outcome CreateEnvironment(Session& session, const CreateOptions& options) {
  v1::CreateEnvironmentRequest request;
  ASSIGN_OR_RETURN(const std::string name, EnvironmentName(options.name));
  request.set_environment_id(IdOf(name));
  request.set_request_id(session.NewRequestId());
  RETURN_IF_ERROR(Fill(options, request.mutable_environment()));
  for (const std::string& project : options.allowed_projects) {
    request.mutable_environment()->add_allowed_projects(project);
  }
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(const v1::Environment created,
                   client->Call(&EnvironmentStub::CreateEnvironment, request));
  if (!PrintMessage(session, created)) {
    session.Say(
        fmt::format("environment {0} created; `appsup nodes token {0}` brings nodes into it",
                    IdOf(created.name())));
  }
  return ExitCode::kOk;
}

Outcome DeleteEnvironment(Session& session, const DeleteOptions& options) {
  v1::DeleteEnvironmentRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), EnvironmentName(options.name));
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  RETURN_IF_ERROR(client->Call(&EnvironmentStub::DeleteEnvironment, request).status());
  session.Say(fmt::format("environment {} deleted", IdOf(request.name())));
  return ExitCode::kOk;
}

Outcome ReleaseBrake(Session& session, const DeleteOptions& options) {
  v1::ReleaseBrakeRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), EnvironmentName(options.name));
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(const v1::Environment released,
                   client->Call(&EnvironmentStub::ReleaseBrake, request));
  if (!PrintMessage(session, released)) {
    session.Say(
        fmt::format("brake of environment {} released; instances of {} lost nodes are "
                    "being replaced as their apps ask for",
                    IdOf(released.name()), released.status().lost_nodes()));
  }
  return ExitCode::kOk;
}

Outcome CreateProject(Session& session, const CreateOptions& options) {
  v1::CreateProjectRequest request;
  ASSIGN_OR_RETURN(const std::string name, ProjectName(options.name));
  request.set_project_id(IdOf(name));
  request.set_request_id(session.NewRequestId());
  RETURN_IF_ERROR(Fill(options, request.mutable_project()));
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(const v1::Project created, client->Call(&ProjectStub::CreateProject, request));
  if (!PrintMessage(session, created)) {
    session.Say(fmt::format("project {0} created; -p {0} or APPSUP_PROJECT={0} works in it",
                            IdOf(created.name())));
  }
  return ExitCode::kOk;
}

Outcome DeleteProject(Session& session, const DeleteOptions& options) {
  v1::DeleteProjectRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), ProjectName(options.name));
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  RETURN_IF_ERROR(client->Call(&ProjectStub::DeleteProject, request).status());
  session.Say(fmt::format("project {} deleted", IdOf(request.name())));
  return ExitCode::kOk;
}

using Create = Outcome (*)(Session&, const CreateOptions&);
using Delete = Outcome (*)(Session&, const DeleteOptions&);

std::shared_ptr<CreateOptions> AddCreate(Commands& commands, CLI::App& group,
                                         const std::string& description, const std::string& example,
                                         Create create, CLI::App** added) {
  CLI::App* command = commands.Add(group, "create", description, example);
  auto options = commands.Bind<CreateOptions>(command, create);
  command->add_option("NAME", options->name, "its id")->required();
  command->add_option("--display-name", options->display_name, "shown to people");
  command->add_option("--label", options->labels, "KEY=VALUE; may be repeated")->expected(1);
  *added = command;
  return options;
}

void AddDelete(Commands& commands, CLI::App& group, const std::string& description,
               const std::string& example, Delete run) {
  CLI::App* command = commands.Add(group, "delete", description, example);
  const auto options = commands.Bind<DeleteOptions>(command, run);
  command->add_option("NAME", options->name, "its id")->required();
}

}  // namespace

void AddEnvironmentCommands(Commands& commands) {
  CLI::App* group =
      commands.Add(commands.root(), "environments", "Shows and keeps environments: groups of nodes",
                   "  appsup environments\n  appsup environments create eu");
  AddListCommand(commands, *group, "environments");
  CLI::App* create = nullptr;
  const auto options =
      AddCreate(commands, *group, "Creates an environment",
                "  appsup environments create eu --display-name Frankfurt --label region=eu",
                CreateEnvironment, &create);
  create
      ->add_option("--allow-project", options->allowed_projects,
                   "only this project may place apps there; may be repeated")
      ->expected(1);
  AddDelete(commands, *group, "Deletes an environment without nodes that no app names",
            "  appsup environments delete eu", DeleteEnvironment);
  CLI::App* release =
      commands.Add(*group, "release-brake",
                   "Lets instances of many lost nodes be replaced, which the brake holds",
                   "  appsup environments release-brake eu");
  const auto released = commands.Bind<DeleteOptions>(release, ReleaseBrake);
  release->add_option("NAME", released->name, "its id")->required();
}

void AddProjectCommands(Commands& commands) {
  CLI::App* group =
      commands.Add(commands.root(), "projects", "Shows and keeps projects: tenants that hold apps",
                   "  appsup projects\n  appsup projects create shop");
  AddListCommand(commands, *group, "projects");
  CLI::App* create = nullptr;
  AddCreate(commands, *group, "Creates a project",
            "  appsup projects create shop --display-name 'The shop'", CreateProject, &create);
  AddDelete(commands, *group, "Deletes a project without apps", "  appsup projects delete shop",
            DeleteProject);
}

}  // namespace appsup::cli
