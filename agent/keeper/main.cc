#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "agent/keeper/keeper.h"
#include "agent/keeper/read_policy.h"
#include "agent/keeper/record_file.h"
#include "agent/keeper/report.h"
#include "agent/keeper/state_file.h"
#include "common/build_info.h"

namespace appsup::keeper {
namespace {

constexpr char kHelp[] =
    "Usage: appsup-keeper [--config FILE] [--stop-apps-on-exit]\n"
    "\n"
    "Parent of all app processes of a node. Starts and ends them for the agent, within what its\n"
    "configuration allows. Apps survive the end of the agent and of the keeper.\n"
    "\n"
    "  --config FILE         default /etc/appsup/keeper.yaml\n"
    "  --check-config        check the configuration, change nothing and exit\n"
    "  --stop-apps-on-exit   on SIGTERM and SIGINT stop all apps first; a second signal kills "
    "them\n"
    "  --check-state FD      can this program take over the state of a running keeper? Asked by "
    "that\n"
    "                        keeper, on SIGHUP, of the program that lies at its path\n"
    "  --take-state FD       take it over, in the same process\n"
    "  --version             print the version and exit\n"
    "  --help                print this and exit\n"
    "\n"
    "Example: appsup-keeper --config /etc/appsup/keeper.yaml\n";

struct Flags {
  std::string config = "/etc/appsup/keeper.yaml";
  bool check_config = false;
  bool stop_apps_on_exit = false;
  int check_state = -1;
  int take_state = -1;
};

// "--name VALUE" or "--name=VALUE"; moves on to the value.
bool TakeValue(const std::string& name, char** argv, int argc, int* i, std::string* value) {
  std::string flag = argv[*i];
  if (flag == name && *i + 1 < argc) {
    *value = argv[++*i];
    return true;
  }
  if (flag.compare(0, name.size() + 1, name + "=") != 0) return false;
  *value = flag.substr(name.size() + 1);
  return true;
}

// The exit code, or -1 to go on.
int ParseFlags(int argc, char** argv, Flags* flags) {
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i];
    std::string number;
    if (flag == "--help" || flag == "-h") {
      fputs(kHelp, stdout);
      return 0;
    }
    if (flag == "--version") {
      printf("appsup-keeper %s\n", kVersion);
      return 0;
    }
    if (flag == "--check-config") {
      flags->check_config = true;
    } else if (flag == "--stop-apps-on-exit") {
      flags->stop_apps_on_exit = true;
    } else if (TakeValue("--config", argv, argc, &i, &flags->config)) {
    } else if (TakeValue("--check-state", argv, argc, &i, &number)) {
      flags->check_state = atoi(number.c_str());
    } else if (TakeValue("--take-state", argv, argc, &i, &number)) {
      flags->take_state = atoi(number.c_str());
    } else {
      fprintf(stderr, "appsup-keeper: %s: unknown flag, or its value is missing; see --help\n",
              flag.c_str());
      return 2;
    }
  }
  return -1;
}

// So that no file of ours is ever taken for a standard stream.
void FillStandardStreams() {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= 2);
  if (fd > 2) close(fd);
}

int Refuse(const absl::Status& status) {
  std::string message(status.message());
  fprintf(stderr, "appsup-keeper: %s\n", message.c_str());
  return 1;
}

// How this program was started: what takes its place lies at the same path.
std::vector<std::string> Command(const char* program, const Flags& flags) {
  std::string path = program;
  char buffer[PATH_MAX] = {};
  if (path.find('/') == std::string::npos) {
    if (readlink("/proc/self/exe", buffer, sizeof(buffer) - 1) > 0) path = buffer;
  } else if (path[0] != '/' && getcwd(buffer, sizeof(buffer)) != nullptr) {
    path = std::string(buffer) + "/" + path;
  }
  std::vector<std::string> command = {path, "--config", flags.config};
  if (flags.stop_apps_on_exit) command.push_back("--stop-apps-on-exit");
  return command;
}

absl::Status CheckState(int fd, const Policy& policy) {
  auto state = ReadState(fd);
  if (!state.ok()) return state.status();
  absl::Status same = CheckSamePlaces(state->policy(), ToRecord(policy));
  if (!same.ok()) return same;
  std::vector<std::pair<int, std::string>> found;
  return RecordFile().Open(policy.run_dir + "/processes", &found);
}

// Nothing may stop us here: the program before is gone. A configuration that has become bad since
// the check is left alone.
Policy PolicyAfter(const pb::KeeperState& state, const std::string& config) {
  auto policy = ReadPolicyByProgram(config);
  absl::Status usable = policy.has_value() ? CheckSamePlaces(state.policy(), ToRecord(*policy))
                                           : absl::InvalidArgumentError("it cannot be read");
  if (usable.ok()) return *std::move(policy);
  Report("warning", "config-not-taken", {{"error", std::string(usable.message())}});
  return FromRecord(state.policy());
}

int Run(Keeper& keeper, const pb::KeeperState* from) {
  if (absl::Status s = keeper.Open(from); !s.ok()) return Refuse(s);
  malloc_trim(0);
  if (absl::Status s = keeper.Run(); !s.ok()) return Refuse(s);
  return 0;
}

int TakeState(const Flags& flags, KeeperOptions options) {
  auto state = ReadState(flags.take_state);
  if (!state.ok()) return Refuse(state.status());
  close(flags.take_state);
  SetCarried(CarriedFds(*state), false);
  Keeper keeper(PolicyAfter(*state, flags.config), std::move(options));
  return Run(keeper, &*state);
}

}  // namespace
}  // namespace appsup::keeper

int main(int argc, char** argv) {
  using namespace appsup::keeper;  // NOLINT
  signal(SIGHUP, SIG_IGN);         // Until we can do what it means.
  Flags flags;
  if (int code = ParseFlags(argc, argv, &flags); code >= 0) return code;
  FillStandardStreams();
  KeeperOptions options = {flags.stop_apps_on_exit, Command(argv[0], flags)};
  if (flags.take_state > 0) return TakeState(flags, std::move(options));
  auto policy = ReadPolicyByProgram(flags.config);
  if (!policy.has_value()) return 1;
  if (flags.check_state > 0) {
    absl::Status status = CheckState(flags.check_state, *policy);
    return status.ok() ? 0 : Refuse(status);
  }
  if (flags.check_config) {
    printf("%s: no errors\n", flags.config.c_str());
    return 0;
  }
  Keeper keeper(*std::move(policy), std::move(options));
  return Run(keeper, nullptr);
}
