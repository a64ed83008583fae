#include "tests/integration/keeper/keeper_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/support/drive_loop.h"
#include "tests/support/paths.h"
#include "tests/support/wait.h"

namespace appsup::agent {

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool IsAlive(pid_t pid) {
  std::string stat = ReadWhole("/proc/" + std::to_string(pid) + "/stat");
  size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.substr(name_end + 2, 1) != "Z";
}

KeeperFixture::KeeperFixture(KeeperSettings settings) : settings_(std::move(settings)) {
  // Apps that run as other users pass through it to their folders.
  REQUIRE(chmod(dir_.path().c_str(), 0711) == 0);
  if (settings_.run_as != 0) {
    REQUIRE(chown(dir_.path().c_str(), settings_.run_as, settings_.run_as) == 0);
  }
  std::ofstream config(dir_.File("keeper.yaml"));
  config << "agent_uid: " << geteuid() << "\n"
         << "socket: " << dir_.File("door/keeper.sock") << "\n"
         << "run_dir: " << run_dir() << "\n"
         << "state_dir: " << dir_.File("state") << "\n"
         << "roots: [" << root() << "]\n"
         << settings_.yaml;
  config.close();
  auto loop = EventLoop::Create();
  REQUIRE(loop.ok());
  loop_ = *std::move(loop);
  StartKeeper();
  Connect();
}

// No process of a test outlives it.
KeeperFixture::~KeeperFixture() {
  if (keeper_ == 0) StartKeeper();
  Connect();
  std::vector<RunningProcess> running = listener_->inventories[0].running;
  for (const RunningProcess& process : running) driver_->Kill(process.id);
  CHECK(Until([&] { return listener_->exits.size() >= running.size(); }));
  EndKeeper(SIGTERM);
}

void KeeperFixture::StartKeeper() {
  std::string program = settings_.program;
  if (program.empty()) program = testing::BinDir() + "/appsup-keeper";
  std::string config = dir_.File("keeper.yaml");
  int log = open(dir_.File("keeper.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  keeper_ = fork();
  if (keeper_ == 0) {
    dup2(log, 2);
    if (settings_.run_as != 0 && (setgid(settings_.run_as) != 0 || setuid(settings_.run_as) != 0)) {
      _exit(126);
    }
    const char* flag = settings_.stop_apps_on_exit ? "--stop-apps-on-exit" : nullptr;
    execl(program.c_str(), program.c_str(), "--config", config.c_str(), flag, nullptr);
    _exit(127);
  }
  close(log);
  REQUIRE(keeper_ > 0);
}

int KeeperFixture::EndKeeper(int signal) {
  kill(keeper_, signal);
  int status = -1;
  CHECK(Until([&] { return waitpid(keeper_, &status, WNOHANG) == keeper_; }));
  keeper_ = 0;
  return status;
}

bool KeeperFixture::Until(const std::function<bool()>& condition) {
  return testing::DriveUntil(*loop_, condition);
}

void KeeperFixture::Connect() {
  driver_.reset();
  listener_ = std::make_unique<RecordingListener>();
  driver_ = std::make_unique<ProcessDriver>(*loop_, clock_, socket(), "test");
  driver_->Open(*listener_);
  if (!Until([&] { return !listener_->inventories.empty(); })) {
    FAIL("the keeper cannot be reached: " << ReadWhole(dir_.File("keeper.log")));
  }
  listener_->disconnects.clear();  // Attempts before the keeper was ready.
}

StartRequest KeeperFixture::Shell(const std::string& instance, const std::string& script,
                                  int64_t attempt) {
  StartRequest request;
  request.id = {instance, ProcessKind::kMain, attempt};
  request.app_uid = "app-of-" + instance;
  request.command = {"/bin/sh", "-c", script};
  request.env = {{"PATH", "/usr/bin:/bin"}};
  request.working_dir = InstanceDir(instance);
  request.folders = {{.path = InstanceDir(instance)}};
  request.stdout_path = root() + "/logs/" + instance + ".out";
  request.stderr_path = root() + "/logs/" + instance + ".err";
  return request;
}

Started KeeperFixture::Start(const StartRequest& request) {
  size_t before = listener_->started[request.id].size();
  driver_->Start(request);
  REQUIRE(Until([&] { return listener_->started[request.id].size() > before; }));
  const auto& result = listener_->started[request.id].back();
  INFO(result.status().ToString());
  REQUIRE(result.ok());
  return *result;
}

absl::Status KeeperFixture::StartFails(const StartRequest& request) {
  size_t before = listener_->started[request.id].size();
  driver_->Start(request);
  REQUIRE(Until([&] { return listener_->started[request.id].size() > before; }));
  const auto& result = listener_->started[request.id].back();
  REQUIRE_FALSE(result.ok());
  return result.status();
}

ProcessExit KeeperFixture::WaitForExit(const ProcessId& id) {
  REQUIRE(Until([&] { return !listener_->exits[id].empty(); }));
  return listener_->exits[id].back();
}

std::string KeeperFixture::Output(const std::string& instance) {
  return ReadWhole(root() + "/logs/" + instance + ".out");
}

pid_t KeeperFixture::ReadPid(const std::string& instance, const std::string& file) {
  std::string path = InstanceDir(instance) + "/" + file;
  REQUIRE(Until([&] { return ReadWhole(path).find('\n') != std::string::npos; }));
  return static_cast<pid_t>(std::stol(ReadWhole(path)));
}

}  // namespace appsup::agent
