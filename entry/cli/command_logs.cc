// appsup logs: what instances wrote.
#include "common/status.h"
#include "common/text_units.h"
#include "entry/cli/commands.h"
#include "entry/cli/log_print.h"
#include "entry/cli/names.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr int32_t kMostLines = 10'000;  // That one call can look back.

struct LogsOptions {
  std::string app;
  std::string instance;
  bool follow = false;
  bool prefix = false;
  int32_t lines = 100;
  std::string since;
  std::string stream;
};

// "10m" ago, or a time such as 2026-01-31T12:00:00Z.
absl::StatusOr<absl::Time> SinceOf(const std::string& text, absl::Time now) {
  const absl::StatusOr<absl::Duration> ago = ParseDuration(text);
  if (ago.ok()) return now - *ago;
  absl::Time time;
  std::string wrong;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &wrong)) return time;
  return UsageError(fmt::format(
      "--since must be a duration such as 10m or a time such as 2026-01-31T12:00:00Z, is \"{}\"",
      text));
}

// The app, or one of its instances: "crm", "crm/abc", or --instance abc.
absl::StatusOr<std::string> NameOf(Session& session, const LogsOptions& options) {
  const std::string& app = options.app;
  if (!options.instance.empty()) {
    ASSIGN_OR_RETURN(const std::string name, AppName(session, app));
    return name + "/instances/" + options.instance;
  }
  const bool short_instance = app.find('/') != std::string::npos && app.rfind("projects/", 0) != 0;
  if (short_instance || app.find("/instances/") != std::string::npos) {
    return InstanceName(session, app);
  }
  return AppName(session, app);
}

absl::StatusOr<v1::TailLogsRequest> RequestOf(Session& session, const LogsOptions& options) {
  v1::TailLogsRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), NameOf(session, options));
  request.set_follow(options.follow);
  request.set_lines(options.lines);
  if (options.stream == "stdout") request.set_stream(v1::LOG_STREAM_STDOUT);
  if (options.stream == "stderr") request.set_stream(v1::LOG_STREAM_STDERR);
  if (!options.since.empty()) {
    ASSIGN_OR_RETURN(const absl::Time since, SinceOf(options.since, session.Now()));
    request.mutable_since()->set_seconds(absl::ToUnixSeconds(since));
  }
  return request;
}

// Whether more than one instance may speak; if that cannot be told, the calls to come say why.
bool HasSeveralInstances(Session& session, const std::string& app) {
  const absl::StatusOr<Client*> client = session.client();
  v1::GetAppRequest request;
  request.set_name(app);
  if (!client.ok() || app.find("/instances/") != std::string::npos) return false;
  const absl::StatusOr<v1::App> found = (*client)->Call(&AppStub::GetApp, request);
  return found.ok() && found->status().replicas() > 1;
}

Outcome Logs(Session& session, const LogsOptions& options) {
  ASSIGN_OR_RETURN(v1::TailLogsRequest request, RequestOf(session, options));
  ASSIGN_OR_RETURN(Client * client, session.client());
  LogPrinter printer(session.out, session.err,
                     options.prefix || HasSeveralInstances(session, request.name()));
  bool was_there = false;
  for (uint32_t attempt = 0;; ++attempt) {
    const auto context = client->NewContext(absl::InfiniteDuration());
    const auto reader = client->stub<AppStub>().TailLogs(context.get(), request);
    v1::TailLogsResponse piece;
    while (reader->Read(&piece)) {
      attempt = 0;
      was_there = true;
      printer.Print(piece);
    }
    const grpc::Status status = reader->Finish();
    if (status.ok()) return ExitCode::kOk;
    const bool may_go_on = options.follow && was_there;
    if (!may_go_on || status.error_code() != grpc::StatusCode::UNAVAILABLE) {
      return client->StatusOf(status);
    }
    // The printer knows what it has shown of what is sent again.
    request.clear_since();
    request.set_lines(kMostLines);
    session.PauseBeforeRetry(attempt);
  }
}

}  // namespace

void AddLogsCommand(Commands& commands) {
  CLI::App* command =
      commands.Add(commands.root(), "logs", "Shows what an app, or one of its instances, wrote",
                   "  appsup logs -f crm\n  appsup logs crm --since 10m --stream stderr\n"
                   "  appsup logs crm --instance k7x2m4 --lines -1");
  const auto options = commands.Bind<LogsOptions>(command, Logs);
  command->add_option("APP", options->app, "app, or APP/INSTANCE")->required();
  command->add_flag("-f,--follow", options->follow, "go on as more is written");
  command->add_option("--instance", options->instance, "only this instance");
  command->add_option("--lines", options->lines, "last lines of each stream (100); -1: all kept")
      ->check(WholeNumber(-1, kMostLines));
  command->add_option("--since", options->since, "from 10m ago, or from 2026-01-31T12:00:00Z");
  command->add_option("--stream", options->stream, "stdout or stderr (both)")
      ->check(CLI::IsMember({"stdout", "stderr"}).description(""));
  command->add_flag("--prefix", options->prefix,
                    "name the instance on each line (where there are several)");
}

}  // namespace appsup::cli
