#include "agent/leftovers.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "common/file.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

namespace fs = std::filesystem;

TEST_CASE("leftovers: ready trees stay, the others go before the cache is opened") {
  testing::TempDir dir;
  const fs::path cache = dir.path() / "artifacts";
  const fs::path discard = dir.path() / "discard";
  fs::create_directories(cache / "good");
  fs::create_directories(cache / "half" / "deep");
  fs::create_directories(cache / "tmp" / "away-1");
  fs::create_directories(discard);
  REQUIRE(AtomicWriteFile(cache / "good.ready", "1", 0600).ok());
  SetAsideLeftovers(cache, discard);
  CHECK(fs::exists(cache / "good"));
  CHECK(fs::exists(cache / "good.ready"));
  CHECK_FALSE(fs::exists(cache / "half"));
  CHECK(fs::is_empty(cache / "tmp"));
  CHECK(Discarded(cache, discard).empty());
}

TEST_CASE("leftovers: the keeper is told what was discarded") {
  testing::TempDir dir;
  const fs::path cache = dir.path() / "artifacts";
  const fs::path discard = dir.path() / "discard";
  fs::create_directories(cache / "tmp" / "away-3");
  fs::create_directories(cache / "tmp" / "being-made");
  fs::create_directories(discard / "77");
  const auto paths = Discarded(cache, discard);
  CHECK(paths == std::vector<std::string>{discard / "77", cache / "tmp" / "away-3"});
}

TEST_CASE("leftovers: folders that are not there yet are fine") {
  testing::TempDir dir;
  SetAsideLeftovers(dir.File("none"), dir.File("neither"));
  CHECK(Discarded(dir.File("none"), dir.File("neither")).empty());
}

}  // namespace
}  // namespace appsup::agent
