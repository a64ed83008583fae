#include "agent/keeper/policy.h"

#include <unistd.h>

#include <catch2/catch.hpp>

namespace appsup::keeper {
namespace {

pb::SpawnRequest GoodSpawn() {
  pb::SpawnRequest spawn;
  spawn.mutable_id()->set_instance_uid("i-1");
  spawn.mutable_id()->set_kind(pb::PROCESS_KIND_MAIN);
  spawn.mutable_id()->set_attempt(1);
  spawn.set_app_uid("a-1");
  spawn.add_command("true");
  spawn.set_working_dir("/srv/apps/one");
  spawn.mutable_stop()->set_signal(15);
  return spawn;
}

TEST_CASE("keeper policy: a request is refused for each field that is not of its form") {
  CHECK(CheckSpawn(GoodSpawn()).ok());
  struct Case {
    const char* expected;
    void (*spoil)(pb::SpawnRequest&);
  };
  const Case cases[] = {
      {"instance uid", [](pb::SpawnRequest& s) { s.mutable_id()->set_instance_uid("../x"); }},
      {"instance uid", [](pb::SpawnRequest& s) { s.mutable_id()->clear_instance_uid(); }},
      {"instance uid",
       [](pb::SpawnRequest& s) { s.mutable_id()->set_instance_uid(std::string(65, 'a')); }},
      {"process kind", [](pb::SpawnRequest& s) { s.mutable_id()->clear_kind(); }},
      {"attempt", [](pb::SpawnRequest& s) { s.mutable_id()->set_attempt(-1); }},
      {"app uid", [](pb::SpawnRequest& s) { s.set_app_uid("a\nb"); }},
      {"command is empty", [](pb::SpawnRequest& s) { s.clear_command(); }},
      {"NUL byte", [](pb::SpawnRequest& s) { s.add_command(std::string("a\0b", 3)); }},
      {"environment variable", [](pb::SpawnRequest& s) { s.add_env()->set_name("A=B"); }},
      {"environment variable", [](pb::SpawnRequest& s) { s.add_env(); }},
      {"working folder", [](pb::SpawnRequest& s) { s.set_working_dir("here"); }},
      {"log file", [](pb::SpawnRequest& s) { s.set_stderr_path("here.log"); }},
      {"log bound", [](pb::SpawnRequest& s) { s.set_log_bound_bytes(-1); }},
      {"stop signal 0", [](pb::SpawnRequest& s) { s.mutable_stop()->set_signal(0); }},
      {"stop signal 99", [](pb::SpawnRequest& s) { s.mutable_stop()->set_signal(99); }},
      {"stop grace", [](pb::SpawnRequest& s) { s.mutable_stop()->set_grace_millis(86'400'001); }},
      {"folder", [](pb::SpawnRequest& s) { s.add_folders()->set_path("x"); }},
      {"mode and owner", [](pb::SpawnRequest& s) { s.add_folders()->set_path("/x"); }},
      {"mode and owner",
       [](pb::SpawnRequest& s) {
         pb::Folder& folder = *s.add_folders();
         folder.set_path("/x");
         folder.set_owner(pb::FOLDER_OWNER_APP);
         folder.set_mode(04755);
       }},
  };
  for (const Case& c : cases) {
    pb::SpawnRequest spawn = GoodSpawn();
    c.spoil(spawn);
    absl::Status status = CheckSpawn(spawn);
    INFO(c.expected << " / " << status.ToString());
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()).find(c.expected) != std::string::npos);
  }
}

TEST_CASE("keeper policy: a path lies beneath a root, part by part") {
  Policy policy;
  policy.roots = {"/srv/apps", "/data"};
  auto good = BeneathRoot(policy, "/srv/apps/one/log");
  REQUIRE(good.ok());
  CHECK(good->root == "/srv/apps");
  CHECK(good->rest == "one/log");
  CHECK(BeneathRoot(policy, "/data/x").ok());
  for (const char* path : {"/srv/apps", "/srv/apps/", "/srv/apps2/x", "/etc/x", "/srv/apps/../etc",
                           "/srv/apps/a/./b", "/srv/apps//a", "/srv/apps/a/", "srv/apps/a", ""}) {
    INFO(path);
    CHECK(BeneathRoot(policy, path).status().code() == absl::StatusCode::kPermissionDenied);
  }
}

TEST_CASE("keeper policy: a NUL in a path hides nothing from the check") {
  Policy policy;
  policy.roots = {"/srv/apps"};
  for (const std::string& tail : {std::string("..\0x", 4), std::string("a/.\0", 4),
                                  std::string("a\0/b", 4), std::string("\0", 1)}) {
    const absl::Status status = BeneathRoot(policy, "/srv/apps/" + tail).status();
    CHECK(status.code() == absl::StatusCode::kPermissionDenied);
    CHECK(status.message().find("NUL") != std::string::npos);
  }
}

TEST_CASE("keeper policy: ceilings bound what is asked for, and what is not") {
  Policy policy;
  policy.max_memory_bytes = 1000;
  pb::Limits wanted;
  wanted.set_cpu_millis(500);
  CHECK(WithinCeilings(policy, wanted).cpu_millis() == 500);
  CHECK(WithinCeilings(policy, wanted).memory_bytes() == 1000);
  wanted.set_memory_bytes(2000);
  CHECK(WithinCeilings(policy, wanted).memory_bytes() == 1000);
  wanted.set_memory_bytes(10);
  CHECK(WithinCeilings(policy, wanted).memory_bytes() == 10);
  CHECK(WithinCeilings(policy, wanted).pids() == 0);
}

TEST_CASE("keeper policy: root and the agent's account are refused even if they are listed") {
  Policy policy;
  policy.users = {"root", "daemon", "bin"};
  auto daemon = FindAccount("daemon");
  REQUIRE(daemon.ok());
  policy.agent = *daemon;
  CHECK(AllowedAccount(policy, "bin").ok());
  CHECK(AllowedAccount(policy, "root").status().code() == absl::StatusCode::kPermissionDenied);
  CHECK(AllowedAccount(policy, "daemon").status().code() == absl::StatusCode::kPermissionDenied);
  CHECK(AllowedAccount(policy, "nobody").status().code() == absl::StatusCode::kPermissionDenied);
  CHECK(FindAccount("no-such-account").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("keeper policy: it travels whole from the program that reads it") {
  Policy policy;
  policy.agent = {7, 8};
  policy.first_uid = 30000;
  policy.last_uid = 30010;
  policy.roots = {"/a", "/b"};
  policy.users = {"daemon"};
  policy.max_cpu_millis = 1;
  policy.max_memory_bytes = 2;
  policy.max_pids = 3;
  policy.socket = "/s";
  policy.run_dir = "/r";
  policy.state_dir = "/t";
  policy.use_cgroups = false;
  Policy back = FromRecord(ToRecord(policy));
  CHECK(back.agent.uid == 7);
  CHECK(back.agent.gid == 8);
  CHECK(back.first_uid == 30000);
  CHECK(back.last_uid == 30010);
  CHECK(back.roots == policy.roots);
  CHECK(back.users == policy.users);
  CHECK(back.max_cpu_millis == 1);
  CHECK(back.max_memory_bytes == 2);
  CHECK(back.max_pids == 3);
  CHECK(back.socket + back.run_dir + back.state_dir == "/s/r/t");
  CHECK_FALSE(back.use_cgroups);
}

}  // namespace
}  // namespace appsup::keeper
