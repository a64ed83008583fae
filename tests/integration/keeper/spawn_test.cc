#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include "tests/integration/keeper/keeper_fixture.h"

namespace appsup::agent {
namespace {

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST_CASE("keeper: a command runs with its folders, environment and logs") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "pwd; echo $GREETING; echo oops >&2; umask; exit 3");
  request.env.emplace_back("GREETING", "hello world");
  Started started = keeper.Start(request);
  CHECK(started.pid > 0);
  CHECK(started.start_time > absl::ZeroDuration());
  ProcessExit exit = keeper.WaitForExit(request.id);
  CHECK(exit.code == 3);
  CHECK(exit.signal == 0);
  CHECK_FALSE(exit.unknown);
  CHECK_FALSE(exit.stopped);
  CHECK(keeper.Output("one") == keeper.InstanceDir("one") + "\nhello world\n0027\n");
  CHECK(ReadWhole(keeper.root() + "/logs/one.err") == "oops\n");
}

TEST_CASE("keeper: nothing but the standard streams is open in an app") {
  KeeperFixture keeper;
  // ls itself opens the folder that it lists.
  StartRequest request = keeper.Shell("one", "ls /proc/self/fd; readlink /proc/self/fd/0");
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  CHECK(keeper.Output("one") == "0\n1\n2\n3\n/dev/null\n");
}

TEST_CASE("keeper: an exit by signal names the signal") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "kill -USR1 $$");
  keeper.Start(request);
  ProcessExit exit = keeper.WaitForExit(request.id);
  CHECK(exit.signal == SIGUSR1);
  CHECK(exit.code == 0);
}

TEST_CASE("keeper: a second spawn of one attempt gets the first one's answer") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "echo x >> started; sleep 1000");
  // Both are under way at once.
  keeper.driver().Start(request);
  keeper.driver().Start(request);
  auto& answers = keeper.heard().started[request.id];
  REQUIRE(keeper.Until([&] { return answers.size() == 2; }));
  REQUIRE(answers[0].ok());
  REQUIRE(answers[1].ok());
  int64_t pid = answers[0]->pid;
  CHECK(pid == answers[1]->pid);
  CHECK(keeper.Start(request).pid == pid);

  SECTION("and another attempt is refused while it runs") {
    absl::Status status = keeper.StartFails(keeper.Shell("one", "true", 2));
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(Message(status) == "attempt 1 still runs; stop it first");
  }
  SECTION("also after it has ended, until the exit is acknowledged") {
    keeper.driver().Kill(request.id);
    keeper.WaitForExit(request.id);
    CHECK(keeper.Start(request).pid == pid);
    CHECK(ReadWhole(keeper.InstanceDir("one") + "/started") == "x\n");
    keeper.driver().AckExit(request.id);
    CHECK(keeper.Start(request).pid != pid);
  }
}

TEST_CASE("keeper: a command that cannot run says why and leaves nothing behind") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "true");
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  std::string dir = keeper.InstanceDir("one");
  std::ofstream(dir + "/plain.txt") << "text\n";
  std::ofstream(dir + "/script") << "#!/no/such/interpreter\n";
  std::ofstream(dir + "/junk") << "neither\n";
  REQUIRE(chmod((dir + "/script").c_str(), 0755) == 0);
  REQUIRE(chmod((dir + "/junk").c_str(), 0755) == 0);

  struct Case {
    std::vector<std::string> command;
    std::string working_dir;
    absl::StatusCode code;
    std::string begins, contains;
  };
  std::vector<Case> cases = {
      {{"nonesuch"},
       dir,
       absl::StatusCode::kNotFound,
       "command nonesuch not found in working folder " + dir + ", its bin/, or PATH /usr/bin:/bin",
       ""},
      {{"./nonesuch"}, dir, absl::StatusCode::kNotFound, "command ./nonesuch not found in", ""},
      {{"plain.txt"},
       dir,
       absl::StatusCode::kPermissionDenied,
       "command " + dir + "/plain.txt",
       "is not executable by user id"},
      {{"./plain.txt"},
       dir,
       absl::StatusCode::kPermissionDenied,
       "command ./plain.txt",
       "is not executable by user id"},
      {{"/tmp"}, dir, absl::StatusCode::kPermissionDenied, "command /tmp is a folder", ""},
      {{"script"},
       dir,
       absl::StatusCode::kNotFound,
       "command " + dir + "/script cannot run",
       "its interpreter or loader does not exist"},
      {{"junk"},
       dir,
       absl::StatusCode::kFailedPrecondition,
       "command " + dir + "/junk cannot run",
       "neither a program for this machine nor a script"},
      {{"/bin/true"},
       dir + "/missing",
       absl::StatusCode::kNotFound,
       "working folder " + dir + "/missing does not exist",
       ""},
      {{"/bin/true"},
       dir + "/plain.txt",
       absl::StatusCode::kFailedPrecondition,
       "working folder " + dir + "/plain.txt is not a folder",
       ""},
      {{"/bin/true", std::string(200'000, 'x')},
       dir,
       absl::StatusCode::kInvalidArgument,
       "command /bin/true cannot run",
       "too large"},
      {{}, dir, absl::StatusCode::kInvalidArgument, "the command is empty", ""},
  };
  for (const Case& c : cases) {
    request.id.attempt++;
    request.command = c.command;
    request.working_dir = c.working_dir;
    absl::Status status = keeper.StartFails(request);
    INFO(status.ToString());
    CHECK(status.code() == c.code);
    CHECK(Message(status).rfind(c.begins, 0) == 0);
    CHECK(Message(status).find(c.contains) != std::string::npos);
    CHECK(keeper.heard().exits.count(request.id) == 0);
  }
}

TEST_CASE("keeper: a program without a slash is found in the working folder, its bin and PATH") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one",
                                      "mkdir bin; printf '#!/bin/sh\\necho from bin\\n' > "
                                      "bin/greet; chmod +x bin/greet");
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  request.id.attempt = 2;
  request.command = {"greet"};
  keeper.Start(request);
  CHECK(keeper.WaitForExit(request.id).code == 0);
  request.id.attempt = 3;
  request.command = {"echo", "from PATH"};
  keeper.Start(request);
  CHECK(keeper.WaitForExit(request.id).code == 0);
  CHECK(keeper.Output("one") == "from bin\nfrom PATH\n");
}

TEST_CASE("keeper: arguments and environment of several hundred kilobytes arrive whole") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "echo $#; echo ${#BIG}; echo $LAST");
  request.command.push_back("name");
  for (int i = 0; i < 3000; ++i) request.command.push_back(std::string(100, 'a'));
  request.env.emplace_back("BIG", std::string(100'000, 'b'));
  request.env.emplace_back("LAST", "here");
  keeper.Start(request);
  CHECK(keeper.WaitForExit(request.id).code == 0);
  CHECK(keeper.Output("one") == "3000\n100000\nhere\n");

  request.id.attempt = 2;
  request.env.emplace_back("HUGE", std::string(9 << 20, 'c'));
  absl::Status status = keeper.StartFails(request);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(Message(status).find("at most 8388608") != std::string::npos);
}

TEST_CASE("keeper: many processes start and end at once, each with its own exit code") {
  KeeperFixture keeper;
  constexpr int kCount = 150;
  std::vector<ProcessId> ids;
  for (int i = 0; i < kCount; ++i) {
    StartRequest request = keeper.Shell("i" + std::to_string(i), "exit " + std::to_string(i));
    ids.push_back(request.id);
    keeper.driver().Start(request);
  }
  for (int i = 0; i < kCount; ++i) CHECK(keeper.WaitForExit(ids[i]).code == i);
  for (const ProcessId& id : ids) CHECK(keeper.heard().exits[id].size() == 1);
}

TEST_CASE("keeper: a log keeps its end, and its offsets") {
  KeeperFixture keeper;
  StartRequest request =
      keeper.Shell("one", "head -c 3000000 /dev/zero | tr '\\0' a; echo the end; sleep 1000");
  request.log_bound_bytes = 100'000;
  keeper.Start(request);
  std::string path = request.stdout_path;
  struct stat info = {};
  REQUIRE(keeper.Until([&] {
    return stat(path.c_str(), &info) == 0 && info.st_size == 3'000'008 &&
           info.st_blocks * 512 < 200'000;
  }));
  CHECK(info.st_blocks * 512 >= 100'000);
  std::string text = ReadWhole(path);
  CHECK(text.substr(text.size() - 10) == "aathe end\n");
  CHECK(text[0] == '\0');
}

TEST_CASE("keeper: a log that grows fast stays near its bound") {
  KeeperFixture keeper;
  StartRequest request =
      keeper.Shell("one", "while :; do head -c 1000000 /dev/zero; sleep 0.005; done");
  request.log_bound_bytes = 1'000'000;
  keeper.Start(request);
  int64_t most = 0;
  struct stat info = {};
  REQUIRE(keeper.Until([&] {
    if (stat(request.stdout_path.c_str(), &info) != 0) return false;
    most = std::max<int64_t>(most, info.st_blocks * 512);
    return info.st_size > 100'000'000;
  }));
  CHECK(most < 30'000'000);
}

TEST_CASE("keeper: usage of running processes is measured") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "while :; do :; done");
  keeper.Start(request);
  keeper.driver().SampleUsage();
  auto& usages = keeper.heard().usages;
  REQUIRE(keeper.Until([&] { return !usages.empty(); }));
  REQUIRE(usages[0].size() == 1);
  CHECK(usages[0][0].id == request.id);
  CHECK(usages[0][0].pids == 1);
  CHECK(keeper.Until([&] {
    keeper.driver().SampleUsage();
    return usages.back()[0].cpu_millis > 100 && usages.back()[0].memory_bytes > 0;
  }));
}

TEST_CASE("keeper: folders are removed with all that is in them") {
  KeeperFixture keeper;
  StartRequest request =
      keeper.Shell("one", "mkdir -p a/b/c; touch a/b/c/file; ln -s / a/link; chmod 500 a/b");
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  keeper.driver().RemoveFolders(7, {keeper.InstanceDir("one"), keeper.InstanceDir("missing/too")});
  REQUIRE(keeper.Until([&] { return keeper.heard().removed.count(7) == 1; }));
  INFO(keeper.heard().removed[7].ToString());
  CHECK(keeper.heard().removed[7].ok());
  struct stat info;
  CHECK(stat(keeper.InstanceDir("one").c_str(), &info) != 0);
}

}  // namespace
}  // namespace appsup::agent
