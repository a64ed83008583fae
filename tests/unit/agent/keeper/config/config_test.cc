#include "agent/keeper/config/config.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace appsup::keeper {
namespace {

absl::StatusOr<Policy> Read(const std::string& yaml) {
  testing::TempDir dir;
  std::ofstream(dir.File("keeper.yaml")) << yaml;
  return ReadPolicy(dir.File("keeper.yaml"));
}

TEST_CASE("keeper config: root_dir goes before the default paths and no others") {
  auto policy = Read("root_dir: /try\nrun_dir: /elsewhere\nagent_uid: 1234\n");
  INFO(policy.status().ToString());
  REQUIRE(policy.ok());
  CHECK(policy->socket == "/try/run/appsup/keeper/keeper.sock");
  CHECK(policy->run_dir == "/elsewhere");
  CHECK(policy->state_dir == "/try/var/lib/appsup/keeper");
  CHECK(policy->roots == std::vector<std::string>{"/try/var/lib/appsup/agent"});
  CHECK(policy->agent.uid == 1234);
  CHECK(policy->first_uid == 20000);
}

TEST_CASE("keeper config: every key has its effect") {
  auto policy = Read(
      "agent_user: daemon\nsocket: /s\nstate_dir: /t\nroots: [/a, /b/c]\nusers: [bin]\n"
      "uids: {first: 40000, last: 40009}\nlimits: {cpu: \"1.5\", memory: 1GiB, pids: 9}\n"
      "cgroups: false\n");
  INFO(policy.status().ToString());
  REQUIRE(policy.ok());
  CHECK(policy->agent.uid == 1);
  CHECK(policy->socket == "/s");
  CHECK(policy->state_dir == "/t");
  CHECK(policy->roots == std::vector<std::string>{"/a", "/b/c"});
  CHECK(policy->users == std::vector<std::string>{"bin"});
  CHECK(policy->first_uid == 40000);
  CHECK(policy->last_uid == 40009);
  CHECK(policy->max_cpu_millis == 1500);
  CHECK(policy->max_memory_bytes == 1 << 30);
  CHECK(policy->max_pids == 9);
  CHECK_FALSE(policy->use_cgroups);
}

TEST_CASE("keeper config: what is wrong is named with its line") {
  struct Case {
    const char* yaml;
    const char* expected;
  };
  const Case cases[] = {
      {"agent_uid: 5\nsockte: /s\n", ":2:"},
      {"agent_uid: 5\nagent_user: daemon\n", "cannot be set together"},
      {"agent_user: no-such-account\n", "not in /etc/passwd"},
      {"agent_uid: 5\nsocket: s\n", "must be an absolute path"},
      {"agent_uid: 5\nroots: [/]\n", "not the root folder"},
      {"agent_uid: 5\nroots: [/a/]\n", "without a slash at its end"},
      {"agent_uid: 5\nuids: {first: 5000, last: 4000}\n", "must not be greater"},
      {"agent_uid: 5\nuids: {first: 0}\n", "1000"},
      {"agent_uid: 5\nlimits: {cpu: lots}\n", "lots"},
  };
  for (const Case& c : cases) {
    auto policy = Read(c.yaml);
    INFO(c.yaml << policy.status().ToString());
    CHECK(policy.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(policy.status().message()).find(c.expected) != std::string::npos);
  }
}

TEST_CASE("keeper config: the agent must not be among the apps", "[root]") {
  auto policy = Read("agent_uid: 20005\n");
  CHECK(policy.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(policy.status().message()).find("lies within `uids`") != std::string::npos);
}

}  // namespace
}  // namespace appsup::keeper
