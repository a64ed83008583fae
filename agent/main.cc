#include <grp.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "agent/agent.h"
#include "agent/config.h"
#include "agent/link/enroll.h"
#include "common/build_info.h"
#include "common/file.h"
#include "common/log.h"
#include "common/rpc/process.h"
#include "common/status.h"

// appsup-agent: hosts apps on a node. Wiring only; see agent/agent.h.
namespace appsup::agent {
namespace {

constexpr int kExitBadConfig = 2;

struct Arguments {
  std::string config;
  std::string root_dir;
  bool check_config = false;
  bool enroll = false;
  EnrollOptions enrolment;
  std::vector<std::string> labels;
};

int Complain(const absl::Status& status, int code) {
  std::cerr << "appsup-agent: " << status.message() << "\n";
  return code;
}

absl::Status ReadLabels(const std::vector<std::string>& texts,
                        std::map<std::string, std::string>* labels) {
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError("--label " + text + ": must be KEY=VALUE");
    }
    (*labels)[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return absl::OkStatus();
}

// Root enrols on behalf of the user that the agent runs as, who owns the state folder: what is
// written must be that user's.
absl::Status BecomeOwner(const std::string& dir) {
  struct stat owner {};
  if (geteuid() != 0) return absl::OkStatus();
  if (stat(dir.c_str(), &owner) != 0) return ErrnoError(errno, "look at " + dir);
  if (owner.st_uid == 0) return absl::OkStatus();
  if (setgroups(0, nullptr) != 0 || setgid(owner.st_gid) != 0 || setuid(owner.st_uid) != 0) {
    return ErrnoError(errno, "become the owner of " + dir);
  }
  return absl::OkStatus();
}

// `appsup-agent enroll`: makes this machine a node.
absl::Status EnrollNode(const AgentConfig& config, Arguments& arguments) {
  RETURN_IF_ERROR(ReadLabels(arguments.labels, &arguments.enrolment.labels));
  if (arguments.enrolment.entry.empty()) arguments.enrolment.entry = config.entry;
  RETURN_IF_ERROR(EnsureDir(config.state_dir, 0711));
  RETURN_IF_ERROR(BecomeOwner(config.state_dir));
  ASSIGN_OR_RETURN(const Enrolled enrolled, Enroll(arguments.enrolment));
  RETURN_IF_ERROR(WriteIdentity(config.identity_dir, enrolled.identity));
  std::cout << "this machine is " << enrolled.node << " in environment " << enrolled.environment
            << "; start appsup-agent to connect it\n";
  return absl::OkStatus();
}

sigset_t OurSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals, signal);
  return signals;
}

// SIGHUP opens the log anew; SIGUSR1 comes from Serve itself, when there is nothing to wait for.
void AwaitEnd(Agent& agent) {
  const sigset_t signals = OurSignals();
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == SIGHUP) {
      IgnoreError(ReopenLog(), "the present log file stays in use");
    } else {
      agent.Stop();
      return;
    }
  }
}

int Serve(const AgentConfig& config) {
  if (absl::Status status = InitLog(config.log); !status.ok()) return Complain(status, 1);
  const sigset_t signals = OurSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  rpc::PrepareProcess();
  auto agent = Agent::Create(config);
  if (!agent.ok()) return Complain(agent.status(), 1);
  Log(LogLevel::kInfo, "started", {{"version", kVersion}, {"state_dir", config.state_dir}});
  std::thread waiter([&] { AwaitEnd(**agent); });
  const absl::Status status = (*agent)->Run();
  pthread_kill(waiter.native_handle(), SIGUSR1);
  waiter.join();
  if (!status.ok()) {
    // Apps go on; a new start begins from what the disk holds.
    Log(LogLevel::kError, "fatal", {{"status", status}});
    return Complain(status, 1);
  }
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"The agent of a node: hosts apps, and tells the entry what is true of them."};
  app.set_version_flag("--version", kVersion);
  app.add_option("--config", arguments.config, "Configuration file (agent.yaml)")
      ->envname("APPSUP_AGENT_CONFIG");
  app.add_option("--root-dir", arguments.root_dir, "Put state and run files below this folder");
  app.add_flag("--check-config", arguments.check_config, "Only check the configuration");
  CLI::App* enroll = app.add_subcommand("enroll", "Make this machine a node, by a join token");
  enroll->fallthrough();
  enroll->add_option("--entry", arguments.enrolment.entry,
                     "HOST:PORT of the entry's link; default: the one in the token");
  enroll->add_option("--token", arguments.enrolment.token, "Join token")
      ->envname("APPSUP_JOIN_TOKEN")
      ->required();
  enroll->add_option("--node-id", arguments.enrolment.node_id,
                     "Id of the node; default: the host's name");
  enroll->add_option("--label", arguments.labels, "KEY=VALUE, may be repeated");
  enroll->callback([&] { arguments.enroll = true; });
  app.require_subcommand(0, 1);
  CLI11_PARSE(app, argc, argv);

  auto config = ReadAgentConfig(arguments.config, arguments.root_dir);
  if (!config.ok()) return Complain(config.status(), kExitBadConfig);
  if (arguments.check_config) {
    std::cout << "the configuration is in order\n";
    return 0;
  }
  if (!arguments.enroll) return Serve(*config);
  const absl::Status status = EnrollNode(*config, arguments);
  return status.ok() ? 0 : Complain(status, 1);
}

}  // namespace
}  // namespace appsup::agent

int main(int argc, char** argv) { return appsup::agent::Main(argc, argv); }
