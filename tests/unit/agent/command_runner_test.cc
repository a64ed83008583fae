#include "agent/command_runner.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "common/file.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

using testing::TempDir;

// Notes what it is told.
class NotingDriver : public Driver {
 public:
  void Open(DriverListener&) override {}
  DriverDescription Describe() const override { return {}; }
  void Start(StartRequest request) override { started.push_back(std::move(request)); }
  void Stop(const ProcessId&, int, absl::Duration) override {}
  void Kill(const ProcessId& id) override { killed.push_back(id); }
  void AckExit(const ProcessId& id) override { acknowledged.push_back(id); }
  void SetFences(std::vector<FenceChange>) override {}
  void RemoveFolders(uint64_t, std::vector<std::string>) override {}
  void SetLimits(const ProcessId&, const ProcessLimits&) override {}
  void SampleUsage() override {}

  std::vector<StartRequest> started;
  std::vector<ProcessId> killed;
  std::vector<ProcessId> acknowledged;
};

// The exit code of the command; -1 if it did not exit.
int RunIn(const std::string& folder, const std::vector<std::string>& command) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    if (chdir(folder.c_str()) == 0) execv(words[0], words.data());
    _exit(127);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

struct Fixture {
  Fixture() : loop(*EventLoop::Create()), runner(*loop, clock, driver, dir.File("output")) {
    StartRequest like;
    like.app_uid = "app1";
    like.user = "web";
    runner.SetCheck(key, like);
  }
  void Check(absl::Duration timeout = absl::Seconds(60)) {
    runner.RunCheck(key, {"check-it"}, timeout, [this](ExecResult r) {
      result = std::move(r);
      loop->Stop();
    });
  }
  const ProcessId& id() const { return driver.started.back().id; }

  TempDir dir;
  SystemClock clock;
  std::unique_ptr<EventLoop> loop;
  NotingDriver driver;
  CommandRunner runner;
  const ProbeKey key{"i1", 3};
  std::optional<ExecResult> result;
};

TEST_CASE("command runner: a check runs as its app, and its result comes back once") {
  Fixture f;
  f.Check();
  REQUIRE(f.driver.started.size() == 1);
  const StartRequest& request = f.driver.started[0];
  CHECK(request.id.instance_uid == "i1");
  CHECK(request.id.kind == ProcessKind::kCheck);
  CHECK(request.command == std::vector<std::string>{"check-it"});
  CHECK(request.user == "web");
  REQUIRE(EnsureDir(f.dir.File("output"), 0700).ok());
  REQUIRE(AtomicWriteFile(request.stdout_path, "first\nnot yet\n\n", 0600).ok());
  f.runner.OnStarted(request.id, Started{});
  ProcessExit exit;
  exit.code = 4;
  f.runner.OnExited(request.id, exit);
  REQUIRE(f.result);
  CHECK(f.result->status.ok());
  CHECK(f.result->exit_code == 4);
  CHECK(f.result->last_line == "not yet");
  CHECK(f.driver.acknowledged == std::vector<ProcessId>{request.id});
  CHECK(absl::IsNotFound(ReadFile(request.stdout_path).status()));
}

TEST_CASE("command runner: attempts never come twice") {
  Fixture f;
  f.Check();
  const int64_t first = f.id().attempt;
  f.runner.CancelCheck(f.key);
  f.Check();
  CHECK(f.id().attempt > first);
}

TEST_CASE("command runner: what takes too long is killed, and said so") {
  Fixture f;
  f.Check(absl::Milliseconds(10));
  f.loop->AddTimer(f.clock.Now().boot + absl::Milliseconds(30), [&] {
    ProcessExit exit;
    exit.signal = 9;
    f.runner.OnExited(f.id(), exit);
  });
  f.loop->Run();
  CHECK(f.driver.killed.size() == 1);
  REQUIRE(f.result);
  CHECK(f.result->timed_out);
}

TEST_CASE("command runner: a cancelled check is killed and not answered") {
  Fixture f;
  f.Check();
  f.runner.ForgetCheck(f.key);
  CHECK(f.driver.killed.size() == 1);
  f.runner.OnExited(f.id(), ProcessExit{});
  CHECK_FALSE(f.result);
  CHECK(f.driver.acknowledged.size() == 1);
}

TEST_CASE("command runner: a check of an app that does not run fails, later") {
  Fixture f;
  f.runner.ForgetCheck(f.key);
  f.Check();
  CHECK_FALSE(f.result);
  f.loop->Run();
  REQUIRE(f.result);
  CHECK(absl::IsNotFound(f.result->status));
}

TEST_CASE("command runner: commands of an earlier agent are killed and acknowledged") {
  Fixture f;
  Inventory inventory;
  inventory.running.push_back({{"i1", ProcessKind::kCheck, 1}, "", {}});
  inventory.running.push_back({{"i1", ProcessKind::kMain, 1}, "", {}});
  inventory.exits.push_back({{"x", ProcessKind::kInstall, 1}, {}});
  f.runner.OnConnected(inventory);
  CHECK(f.driver.killed == std::vector<ProcessId>{{"i1", ProcessKind::kCheck, 1}});
  CHECK(f.driver.acknowledged == std::vector<ProcessId>{{"x", ProcessKind::kInstall, 1}});
}

TEST_CASE("command runner: a command that the driver lost ends with an unknown outcome") {
  Fixture f;
  f.Check();
  f.runner.OnConnected({});
  CHECK_FALSE(f.result);  // Its start is asked for again.
  f.runner.OnStarted(f.id(), Started{});
  Inventory inventory;
  inventory.running.push_back({f.id(), "", {}});
  f.runner.OnConnected(inventory);
  CHECK_FALSE(f.result);
  f.runner.OnConnected({});
  REQUIRE(f.result);
  CHECK(absl::IsUnknown(f.result->status));
  f.result.reset();
  f.runner.OnExited(f.id(), ProcessExit{});
  CHECK_FALSE(f.result);
}

TEST_CASE("command runner: an install command gets its folder, and its failure is a sentence") {
  Fixture f;
  InstallJob job;
  job.id = 5;
  job.name.assign(64, 'a');
  job.name += "-0123";
  job.folder = "/cache/a";
  job.command = {"npm", "ci"};
  job.timeout = absl::Seconds(60);
  std::optional<absl::Status> done;
  f.runner.RunInstall(job, [&](absl::Status status) { done = std::move(status); });
  const StartRequest& request = f.driver.started[0];
  CHECK(request.id.kind == ProcessKind::kInstall);
  CHECK(request.id.instance_uid.size() <= 64);
  CHECK(request.working_dir == "/cache/a");
  CHECK(request.command.back() == "ci");
  CHECK(request.folders[0].adopt_tree);
  ProcessExit exit;
  exit.code = 1;
  f.runner.OnExited(request.id, exit);
  REQUIRE(done);
  CHECK(std::string(done->message()) == "install command exited with code 1");
}

TEST_CASE("command runner: all apps can read what an install command makes, whatever its modes") {
  Fixture f;
  InstallJob job;
  job.folder = f.dir.File("code");
  REQUIRE(EnsureDir(job.folder, 0755).ok());
  const std::string script = GENERATE(
      "mkdir -m 700 lib; echo x > lib/key; chmod 600 lib/key; echo y > run; chmod 700 run; "
      "ln -s /nowhere link",
      "exit 3");
  job.command = {"sh", "-c", script};
  job.timeout = absl::Seconds(60);
  f.runner.RunInstall(job, [](absl::Status) {});
  const int ended = RunIn(job.folder, f.driver.started[0].command);
  if (script == "exit 3") {
    CHECK(ended == 3);
    return;
  }
  CHECK(ended == 0);
  CHECK(ModeOf(job.folder + "/lib") == 0755);
  CHECK(ModeOf(job.folder + "/lib/key") == 0644);
  CHECK(ModeOf(job.folder + "/run") == 0755);
}

TEST_CASE("command runner: an install command that cannot be started says why") {
  Fixture f;
  InstallJob job;
  job.timeout = absl::Seconds(60);
  std::optional<absl::Status> done;
  f.runner.RunInstall(job, [&](absl::Status status) { done = std::move(status); });
  f.runner.OnStarted(f.id(), absl::NotFoundError("no such user"));
  REQUIRE(done);
  CHECK(absl::IsNotFound(*done));
}

}  // namespace
}  // namespace appsup::agent
