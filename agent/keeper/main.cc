#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "agent/keeper/keeper.h"
#include "agent/keeper/read_policy.h"
#include "common/build_info.h"

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
    "  --version             print the version and exit\n"
    "  --help                print this and exit\n"
    "\n"
    "Example: appsup-keeper --config /etc/appsup/keeper.yaml\n";

struct Flags {
  std::string config = "/etc/appsup/keeper.yaml";
  bool check_config = false;
  bool stop_apps_on_exit = false;
};

// The exit code, or -1 to go on.
int ParseFlags(int argc, char** argv, Flags* flags) {
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i];
    if (flag == "--help" || flag == "-h") {
      fputs(kHelp, stdout);
      return 0;
    }
    if (flag == "--version") {
      printf("appsup-keeper %s\n", appsup::kVersion);
      return 0;
    }
    if (flag == "--check-config") {
      flags->check_config = true;
    } else if (flag == "--stop-apps-on-exit") {
      flags->stop_apps_on_exit = true;
    } else if (flag == "--config" && i + 1 < argc) {
      flags->config = argv[++i];
    } else if (flag.compare(0, 9, "--config=") == 0) {
      flags->config = flag.substr(9);
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

int Report(const absl::Status& status) {
  std::string message(status.message());
  fprintf(stderr, "appsup-keeper: %s\n", message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  if (int code = ParseFlags(argc, argv, &flags); code >= 0) return code;
  FillStandardStreams();
  auto policy = appsup::keeper::ReadPolicyByProgram(flags.config);
  if (!policy.has_value()) return 1;
  if (flags.check_config) {
    printf("%s: no errors\n", flags.config.c_str());
    return 0;
  }
  appsup::keeper::Keeper keeper(*std::move(policy), flags.stop_apps_on_exit);
  if (absl::Status s = keeper.Open(); !s.ok()) return Report(s);
  malloc_trim(0);
  if (absl::Status s = keeper.Run(); !s.ok()) return Report(s);
  return 0;
}
