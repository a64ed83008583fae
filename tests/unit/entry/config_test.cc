#include "entry/config.h"

#include <catch2/catch.hpp>

#include "common/file.h"
#include "common/status.h"
#include "tests/support/temp_dir.h"

namespace appsup::entry {
namespace {

absl::StatusOr<EntryConfig> Read(const std::string& text, const std::string& root = "") {
  testing::TempDir dir;
  REQUIRE(AtomicWriteFile(dir.File("entry.yaml"), text, 0600).ok());
  return ReadEntryConfig(dir.File("entry.yaml"), root, false);
}

TEST_CASE("entry config: one root_dir moves everything below a folder") {
  const auto config = Read("root_dir: /srv/try\n");
  REQUIRE(config.ok());
  CHECK(config->state_dir == "/srv/try/var/lib/appsup/entry");
  CHECK(config->api_socket == "/srv/try/run/appsup/api.sock");
  CHECK(config->sqlite_path == "/srv/try/var/lib/appsup/entry/catalog.db");
  CHECK(Read("root_dir: /srv/try\n", "/elsewhere")->state_dir == "/elsewhere/var/lib/appsup/entry");
  CHECK(ReadEntryConfig("", "", false)->api_socket == "/run/appsup/api.sock");
}

TEST_CASE("entry config: an empty root_dir is refused where it stands") {
  for (const char* text : {"root_dir: \"\"\n", "root_dir: !x\n"}) {
    const auto refused = Read(text);
    REQUIRE_FALSE(refused.ok());
    CHECK(ErrorReason(refused.status()) == "CONFIG_INVALID");
    CHECK(std::string(refused.status().message()).find("root_dir") != std::string::npos);
  }
}

TEST_CASE("entry config: an address beyond loopback without TLS is refused with what to write") {
  for (const char* listen : {"0.0.0.0:7070", "[::]:7070", "10.1.2.3:7070", "entry:7070"}) {
    const auto refused = Read(std::string("api: {listen: \"") + listen + "\"}\n");
    REQUIRE_FALSE(refused.ok());
    CHECK(ErrorReason(refused.status()) == "TLS_REQUIRED");
    CHECK(std::string(refused.status().message()).find("api.tls: true") != std::string::npos);
    CHECK(Read(std::string("api: {tls: true, listen: \"") + listen + "\"}\n").ok());
  }
  for (const char* listen : {"127.0.0.1:7070", "[::1]:0", "localhost:7070", ""}) {
    CHECK(Read(std::string("api: {listen: \"") + listen + "\"}\n").ok());
  }
}

TEST_CASE("entry config: all faults are told at once") {
  const auto refused =
      Read("apii: {}\nstore: {kind: postgres}\nlimits: {lease: 1s, heartbeat: 3s, blob: -1}\n");
  REQUIRE_FALSE(refused.ok());
  const std::string message(refused.status().message());
  for (const char* part : {"apii", "url", "lease", "blob"}) {
    CHECK(message.find(part) != std::string::npos);
  }
}

}  // namespace
}  // namespace appsup::entry
