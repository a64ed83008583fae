#include "agent/config.h"

#include <catch2/catch.hpp>

#include "common/file.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

using testing::TempDir;

absl::StatusOr<AgentConfig> Read(const std::string& text) {
  TempDir dir;
  REQUIRE(AtomicWriteFile(dir.File("agent.yaml"), text, 0600).ok());
  return ReadAgentConfig(dir.File("agent.yaml"), "");
}

TEST_CASE("agent config: defaults lie where packages put them") {
  const auto config = ReadAgentConfig("", "");
  REQUIRE(config.ok());
  CHECK(config->state_dir == "/var/lib/appsup/agent");
  CHECK(config->identity_dir == "/var/lib/appsup/agent/identity");
  CHECK(config->keeper_socket == "/run/appsup/keeper/keeper.sock");
  CHECK(config->first_port == 20000);
  CHECK(config->last_port == 29999);
}

TEST_CASE("agent config: root_dir moves everything") {
  const auto config = ReadAgentConfig("", "/tmp/try");
  REQUIRE(config.ok());
  CHECK(config->state_dir == "/tmp/try/var/lib/appsup/agent");
  CHECK(config->keeper_socket == "/tmp/try/run/appsup/keeper/keeper.sock");
}

TEST_CASE("agent config: an empty root_dir is refused") {
  CHECK(absl::IsInvalidArgument(Read("root_dir: \"\"\n").status()));
}

TEST_CASE("agent config: every key is read") {
  const auto config = Read(R"(
root_dir: /srv
state_dir: state
entry: "entry.example:7071"
address: 10.0.0.5
listen_address: 0.0.0.0
ports: {first: 30000, last: 30100}
app_logs: {per_instance: 1MiB, kept_after_removal: 1h}
artifacts: {cache: 1GiB, largest: 10MiB}
usage_period: 5s
log: {level: debug, format: json, file: agent.log}
)");
  REQUIRE(config.ok());
  CHECK(config->state_dir == "/srv/state");
  CHECK(config->identity_dir == "/srv/state/identity");
  CHECK(config->entry == "entry.example:7071");
  CHECK(config->address == "10.0.0.5");
  CHECK(config->first_port == 30000);
  CHECK(config->app_log_bytes == 1 << 20);
  CHECK(config->artifact_bytes == 10 << 20);
  CHECK(config->usage_period == absl::Seconds(5));
  CHECK(config->log.level == LogLevel::kDebug);
  CHECK(config->log.file == "/srv/agent.log");
}

TEST_CASE("agent config: what is wrong is told with its line") {
  const auto config = Read("entry: nowhere\nports: {first: 20000, last: 20001}\nprots: 1\n");
  REQUIRE(absl::IsInvalidArgument(config.status()));
  const std::string text = config.status().ToString();
  CHECK(text.find(":1:") != std::string::npos);
  CHECK(text.find("HOST:PORT") != std::string::npos);
  CHECK(text.find("at least 10 ports") != std::string::npos);
  CHECK(text.find("prots") != std::string::npos);
}

}  // namespace
}  // namespace appsup::agent
