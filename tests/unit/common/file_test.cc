#include "common/file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "common/digest.h"
#include "tests/support/temp_dir.h"

namespace appsup {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

size_t EntriesIn(const std::string& path) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path)) ++count;
  return count;
}

constexpr char kSha256OfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

}  // namespace

TEST_CASE("file: an atomic write replaces the content and mode, and leaves nothing behind") {
  testing::TempDir dir;
  const std::string path = dir.File("f");
  REQUIRE(AtomicWriteFile(path, "one", 0600).ok());
  CHECK(ReadFile(path).value() == "one");
  CHECK(ModeOf(path) == 0600);
  REQUIRE(AtomicWriteFile(path, std::string("t\0wo", 4), 0664).ok());
  CHECK(ReadFile(path).value() == std::string("t\0wo", 4));
  CHECK(ModeOf(path) == 0664);
  CHECK(EntriesIn(dir.path().string()) == 1);
}

TEST_CASE("file: a write that fails changes nothing and leaves nothing behind") {
  testing::TempDir dir;
  REQUIRE(EnsureDir(dir.File("folder/inner"), 0755).ok());
  CHECK_FALSE(AtomicWriteFile(dir.File("folder"), "x", 0600).ok());
  CHECK(EntriesIn(dir.path().string()) == 1);
  CHECK(AtomicWriteFile(dir.File("none/f"), "x", 0600).code() == absl::StatusCode::kNotFound);
}

TEST_CASE("file: reading is bounded") {
  testing::TempDir dir;
  const std::string path = dir.File("f");
  REQUIRE(AtomicWriteFile(path, std::string(100000, 'x'), 0600).ok());
  CHECK(ReadFile(path, 100000).value().size() == 100000);
  CHECK(ReadFile(path, 99999).status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(ReadFile("/dev/zero", 1000).status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(ReadFile(dir.File("none")).status().code() == absl::StatusCode::kNotFound);
  CHECK_FALSE(ReadFile(dir.path().string()).ok());
}

TEST_CASE("file: an absolute path is told from the working folder, and nothing is one of none") {
  CHECK(AbsolutePath("/a/./b/../c").value() == "/a/c");
  CHECK(AbsolutePath("a").value() == (std::filesystem::current_path() / "a").string());
  CHECK(AbsolutePath("").status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("file: EnsureDir makes what is missing and keeps what is there") {
  testing::TempDir dir;
  REQUIRE(EnsureDir(dir.File("a"), 0700).ok());
  REQUIRE(EnsureDir(dir.File("a/b/c/"), 0755).ok());
  CHECK(ModeOf(dir.File("a")) == 0700);
  CHECK(ModeOf(dir.File("a/b")) == 0755);
  CHECK(ModeOf(dir.File("a/b/c")) == 0755);
  CHECK(EnsureDir(dir.File("a/b/c"), 0700).ok());
  REQUIRE(AtomicWriteFile(dir.File("f"), "x", 0600).ok());
  CHECK(EnsureDir(dir.File("f"), 0700).code() == absl::StatusCode::kFailedPrecondition);
  CHECK_FALSE(EnsureDir(dir.File("f/below"), 0700).ok());
  CHECK_FALSE(EnsureDir("", 0700).ok());
}

TEST_CASE("digest: matches the published vectors, at once, in pieces and from a file") {
  CHECK(Sha256Hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(Sha256Hex("abc") == kSha256OfAbc);
  Sha256 pieces;
  pieces.Update("a");
  pieces.Update("");
  pieces.Update("bc");
  CHECK(pieces.FinishHex() == kSha256OfAbc);
  testing::TempDir dir;
  REQUIRE(AtomicWriteFile(dir.File("f"), "abc", 0600).ok());
  CHECK(Sha256File(dir.File("f")).value() == kSha256OfAbc);
  CHECK(Sha256File(dir.File("none")).status().code() == absl::StatusCode::kNotFound);
}

}  // namespace appsup
