// appsup run: an app from a command.
#include <unistd.h>

#include <cctype>
#include <charconv>

#include "common/status.h"
#include "common/text_units.h"
#include "entry/cli/blob_push.h"
#include "entry/cli/command_line.h"
#include "entry/cli/commands.h"
#include "entry/cli/manifest_words.h"
#include "entry/cli/names.h"
#include "entry/cli/operation_wait.h"
#include "entry/cli/yaml_writer.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr char kDefaultPort[] = "http";

struct RunOptions {
  std::string name;
  std::vector<std::string> ports;
  bool no_port = false;
  std::vector<std::string> env;
  std::vector<std::string> labels;
  std::string artifact;
  int32_t replicas = 1;
  bool replicas_given = false;
  std::vector<std::string> environments;
  std::string data;
  std::string memory;
  std::string cpu;
  std::string health;
  std::string user;
  std::string working_dir;
  bool dry_run = false;
};

// "http", "http=8080", "8080".
absl::Status AddPort(const std::string& text, v1::AppSpec* spec) {
  const size_t equals = text.find('=');
  const bool only_number = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
  v1::Port& port = *spec->add_ports();
  port.set_name(only_number ? kDefaultPort : text.substr(0, equals));
  if (equals == std::string::npos && !only_number) return absl::OkStatus();
  const std::string number = only_number ? text : text.substr(equals + 1);
  int value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || value < 0 || value > 65535) {
    return UsageError(fmt::format(
        "--port must be NAME, NUMBER or NAME=NUMBER with a number up to 65535, is \"{}\"", text));
  }
  port.set_number(value);
  return absl::OkStatus();
}

absl::Status SetPorts(const RunOptions& options, v1::AppSpec* spec) {
  if (options.no_port && !(options.ports.empty() && options.health.empty())) {
    return UsageError("--no-port excludes --port and --health");
  }
  for (const std::string& port : options.ports) RETURN_IF_ERROR(AddPort(port, spec));
  if (options.ports.empty() && !options.no_port) spec->add_ports()->set_name(kDefaultPort);
  return absl::OkStatus();
}

// A path is asked for where one is given; else it is enough that the port opens, where the command
// can be expected to open it: it was told about it.
void SetReadiness(const RunOptions& options, bool uses_port, v1::AppSpec* spec) {
  if (spec->ports().empty()) return;
  const std::string& port = spec->ports(0).name();
  if (!options.health.empty()) {
    v1::HttpCheck& http = *spec->mutable_checks()->mutable_readiness()->mutable_http();
    http.set_port(port);
    http.set_path(options.health);
  } else if (uses_port || !options.ports.empty()) {
    spec->mutable_checks()->mutable_readiness()->mutable_tcp()->set_port(port);
  } else {
    return;
  }
  spec->mutable_checks()->mutable_readiness()->mutable_period()->set_seconds(1);
}

absl::Status SetResources(const RunOptions& options, v1::AppSpec* spec) {
  if (!options.memory.empty()) {
    ASSIGN_OR_RETURN(const int64_t bytes, ParseBytes(options.memory));
    spec->mutable_resources()->mutable_memory_bytes()->set_reserve(bytes);
    spec->mutable_resources()->mutable_memory_bytes()->set_limit(bytes);
  }
  if (!options.cpu.empty()) {
    ASSIGN_OR_RETURN(const int64_t millis, ParseCpu(options.cpu));
    spec->mutable_resources()->mutable_cpu_millis()->set_reserve(millis);
    spec->mutable_resources()->mutable_cpu_millis()->set_limit(millis);
  }
  return absl::OkStatus();
}

// "node", or "shared:/mnt/data".
absl::Status SetData(const RunOptions& options, v1::AppSpec* spec) {
  if (options.data.empty()) return absl::OkStatus();
  const size_t colon = options.data.find(':');
  const auto* kind = FindWord(*v1::DataKind_descriptor(), options.data.substr(0, colon));
  if (kind == nullptr) {
    return UsageError(fmt::format("--data must be node or shared:PATH, is \"{}\"", options.data));
  }
  spec->mutable_data()->set_kind(static_cast<v1::DataKind>(kind->number()));
  if (colon != std::string::npos) spec->mutable_data()->set_path(options.data.substr(colon + 1));
  return absl::OkStatus();
}

absl::Status SetArtifact(Session& session, const RunOptions& options, v1::AppSpec* spec) {
  const std::string& source = options.artifact;
  if (source.empty()) return absl::OkStatus();
  if (source.find("://") != std::string::npos) {
    spec->mutable_artifact()->set_uri(source);
  } else if (source.rfind("blobs/", 0) == 0 && access(source.c_str(), F_OK) != 0) {
    spec->mutable_artifact()->set_blob(source);
  } else {
    ASSIGN_OR_RETURN(const PackedArtifact packed, PackedArtifact::Of(source));
    if (!options.dry_run) RETURN_IF_ERROR(PushBlob(session, packed).status());
    spec->mutable_artifact()->set_blob(packed.blob_name());
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::App> AppOf(Session& session, const RunOptions& options,
                              const CommandLine& command) {
  v1::App app;
  ASSIGN_OR_RETURN(*app.mutable_name(), AppName(session, options.name));
  v1::AppSpec* spec = app.mutable_spec();
  v1::ProcessRuntime* process = spec->mutable_runtime()->mutable_process();
  process->mutable_command()->Assign(command.arguments.begin(), command.arguments.end());
  process->set_user(options.user);
  process->set_working_dir(options.working_dir);
  if (options.replicas_given) spec->set_replicas(options.replicas);
  for (const std::string& environment : options.environments) {
    spec->mutable_placement()->add_environments(environment);
  }
  for (const std::string& variable : options.env) {
    ASSIGN_OR_RETURN(const auto pair, KeyAndValue("--env", variable));
    (*spec->mutable_env())[pair.first] = pair.second;
  }
  for (const std::string& label : options.labels) {
    ASSIGN_OR_RETURN(const auto pair, KeyAndValue("--label", label));
    (*app.mutable_labels())[pair.first] = pair.second;
  }
  RETURN_IF_ERROR(SetPorts(options, spec));
  SetReadiness(options, command.uses_port, spec);
  RETURN_IF_ERROR(SetResources(options, spec));
  RETURN_IF_ERROR(SetData(options, spec));
  RETURN_IF_ERROR(SetArtifact(session, options, spec));
  return app;
}

Outcome Run(Session& session, const RunOptions& options, const std::vector<std::string>& typed) {
  if (typed.empty()) {
    return UsageError(
        "the command is missing; write it behind --, as in `appsup run --name notes -- "
        "python3 -m http.server`");
  }
  const CommandLine command = CommandLineOf(typed);
  ASSIGN_OR_RETURN(v1::App app, AppOf(session, options, command));
  if (options.dry_run) {
    session.out << (session.settings.output == OutputForm::kJson
                        ? ToJson(app)
                        : ToYaml(app, {session.settings.project}))
                << std::flush;
    return ExitCode::kOk;
  }
  if (!command.note.empty() && !session.settings.quiet) session.err << command.note << "\n";
  v1::CreateAppRequest request;
  request.set_parent(app.name().substr(0, app.name().find("/apps/")));
  request.set_app_id(IdOf(app.name()));
  request.set_request_id(session.NewRequestId());
  app.clear_name();
  *request.mutable_app() = std::move(app);
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(const v1::Operation operation, client->Call(&AppStub::CreateApp, request));
  return FinishOperation(session, operation);
}

void AddOptions(CLI::App* command, const std::shared_ptr<RunOptions>& options) {
  command->add_option("--name", options->name, "id of the new app")->required();
  command
      ->add_option("--port", options->ports,
                   "NAME, NUMBER or NAME=NUMBER that it listens on; may be repeated (http, with a "
                   "number that the node picks and tells in PORT)")
      ->expected(1);
  command->add_flag("--no-port", options->no_port, "it listens on nothing");
  command->add_option("--env", options->env, "KEY=VALUE for its environment; may be repeated")
      ->expected(1);
  command->add_option("--label", options->labels, "KEY=VALUE; may be repeated")->expected(1);
  command->add_option("--artifact", options->artifact,
                      "its code: a URI, or a file or folder, which is pushed");
  command
      ->add_option_function<int32_t>(
          "--replicas",
          [options](int32_t replicas) {
            options->replicas = replicas;
            options->replicas_given = true;
          },
          "how many in each environment (1)")
      ->check(WholeNumber(0, 1000));
  command
      ->add_option("--environment", options->environments,
                   "where it runs; may be repeated (the only one there is)")
      ->expected(1);
  command->add_option("--data", options->data,
                      "node: a folder that stays, in APPSUP_DATA_DIR; or shared:PATH");
  command->add_option("--memory", options->memory, "reserved and at most, such as 512Mi");
  command->add_option("--cpu", options->cpu, "reserved and at most, such as 500m or 2");
  command->add_option("--health", options->health, "path that answers once it is ready");
  command->add_option("--user", options->user, "user of the node (one of its own)");
  command->add_option("--dir", options->working_dir, "working folder (that of the artifact)");
  command->add_flag("--dry-run", options->dry_run, "print it as a manifest; create nothing");
}

}  // namespace

void AddRunCommand(Commands& commands) {
  CLI::App* command = commands.Add(
      commands.root(), "run", "Creates an app from a command; $PORT in it becomes the app's port",
      "  appsup run --name notes -- python3 -m http.server\n"
      "  appsup run --name web --artifact ./web --health / -- node server.js --port '$PORT'\n"
      "  appsup run --name clock --no-port --dry-run -- ./clock.sh > clock.yaml");
  const Commands* all = &commands;
  const auto options =
      commands.Bind<RunOptions>(command, [all](Session& session, const RunOptions& chosen) {
        return Run(session, chosen, all->tail);
      });
  AddOptions(command, options);
}

}  // namespace appsup::cli
