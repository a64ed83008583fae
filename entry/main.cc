#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <thread>

#include "CLI/CLI.hpp"
#include "common/build_info.h"
#include "common/file.h"
#include "common/log.h"
#include "common/rpc/process.h"
#include "common/status.h"
#include "entry/config.h"
#include "entry/entry.h"

// appsup-entry: the server that holds the catalog. Wiring only; see entry/entry.h.
namespace appsup::entry {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(5);
constexpr absl::Duration kWatchdog = absl::Seconds(20);
constexpr time_t kLookSeconds = 60;
constexpr int kExitBadConfig = 2;

struct Arguments {
  std::string config;
  std::string root_dir;
  bool check_config = false;
  bool unsafe = false;
  bool init = false;
};

int Complain(const absl::Status& status, int code) {
  std::cerr << "appsup-entry: " << status.message() << "\n";
  return code;
}

sigset_t OurSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

// `appsup-entry init`: what the first start would make, made on purpose.
int Init(const EntryConfig& config) {
  if (absl::Status status = EnsureDir(config.state_dir, 0700); !status.ok()) {
    return Complain(status, 1);
  }
  const absl::StatusOr<Ca> ca = Ca::Create(config.state_dir, absl::Now());
  if (!ca.ok()) return Complain(ca.status(), 1);
  const absl::StatusOr<Tokens> tokens = Tokens::Open(config.state_dir + "/admin.token", "");
  if (!tokens.ok()) return Complain(tokens.status(), 1);
  std::cout << "certificate authority: " << config.state_dir << "/ca/ca.crt\n"
            << "fingerprint:           " << ca->fingerprint() << "\n"
            << "administrator's token: " << config.state_dir << "/admin.token\n";
  return 0;
}

// Until a signal says to end. Meanwhile the server certificate is looked at: often, because the
// wall clock may be set.
void AwaitEnd(Entry& entry) {
  const sigset_t signals = OurSignals();
  for (;;) {
    const timespec period{kLookSeconds, 0};
    const int signal = sigtimedwait(&signals, nullptr, &period);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (signal == SIGHUP) {
      IgnoreError(ReopenLog(), "the present log file stays in use");
      continue;
    }
    if (absl::Status status = entry.RenewServerCertificate(); !status.ok()) {
      Log(LogLevel::kError, "server-certificate-not-renewed", {{"status", status}});
    }
  }
}

// Shutdown of the transport may hang on a mistake; nothing that matters is lost by a hard end.
void StartWatchdog() {
  std::thread([] {
    std::this_thread::sleep_for(absl::ToChronoSeconds(kWatchdog));
    Log(LogLevel::kError, "shutdown-hangs");
    std::_Exit(1);
  }).detach();
}

int Serve(const EntryConfig& config) {
  if (absl::Status status = InitLog(config.log); !status.ok()) return Complain(status, 1);
  const sigset_t signals = OurSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  rpc::PrepareProcess();
  auto entry = Entry::Start(config, [](const absl::Status& status) {
    Log(LogLevel::kError, "fatal", {{"status", status}});
    std::cerr << "appsup-entry: " << status.message() << std::endl;
    std::_Exit(1);
  });
  if (!entry.ok()) return Complain(entry.status(), 1);
  Log(LogLevel::kInfo, "started",
      {{"version", kVersion},
       {"socket", config.api_socket},
       {"api_port", (*entry)->api_port()},
       {"link_port", (*entry)->link_port()},
       {"http_port", (*entry)->http_port()}});
  AwaitEnd(**entry);
  Log(LogLevel::kInfo, "stopping");
  StartWatchdog();
  (*entry)->Shutdown(kGrace);
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{
      "The entry of an AppSupervisor installation: keeps the catalog of apps, serves the "
      "API, and tells agents what to run."};
  app.set_version_flag("--version", kVersion);
  app.add_option("--config", arguments.config, "Configuration file (entry.yaml)")
      ->envname("APPSUP_ENTRY_CONFIG");
  app.add_option("--root-dir", arguments.root_dir,
                 "Put state, run and log files below this folder");
  app.add_flag("--check-config", arguments.check_config, "Only check the configuration");
  app.add_flag("--unsafe", arguments.unsafe, "Accept the section `unsafe` of the configuration");
  app.add_subcommand("init", "Make the certificate authority and the administrator's token")
      ->fallthrough()
      ->callback([&] { arguments.init = true; });
  app.add_subcommand("serve", "Serve; the default")->fallthrough();
  app.require_subcommand(0, 1);
  CLI11_PARSE(app, argc, argv);

  auto config = ReadEntryConfig(arguments.config, arguments.root_dir, arguments.unsafe);
  if (!config.ok()) return Complain(config.status(), kExitBadConfig);
  if (arguments.check_config) {
    std::cout << "the configuration is in order\n";
    return 0;
  }
  return arguments.init ? Init(*config) : Serve(*config);
}

}  // namespace
}  // namespace appsup::entry

int main(int argc, char** argv) { return appsup::entry::Main(argc, argv); }
