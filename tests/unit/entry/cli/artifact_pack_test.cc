#include "entry/cli/artifact_pack.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "common/file.h"
#include "tests/support/temp_dir.h"

namespace appsup::cli {
namespace {

using appsup::testing::TempDir;

void WriteTo(const std::string& path, const std::string& text) {
  REQUIRE(AtomicWriteFile(path, text, 0644).ok());
}

TEST_CASE("artifact pack: the same content gives the same digest, wherever and whenever") {
  TempDir dir;
  for (const char* folder : {"a", "b"}) {
    std::filesystem::create_directories(dir.path() / folder / "sub");
    WriteTo(dir.File(std::string(folder) + "/run.sh"), "#!/bin/sh\n");
    WriteTo(dir.File(std::string(folder) + "/sub/data"), "x");
    std::filesystem::create_symlink("run.sh", dir.path() / folder / "link");
  }
  const auto a = PackedArtifact::Of(dir.File("a"));
  const auto b = PackedArtifact::Of(dir.File("b"));
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  CHECK(a->sha256() == b->sha256());
  CHECK(a->blob_name() == "blobs/" + a->sha256());
}

TEST_CASE("artifact pack: the right to execute a file is part of it") {
  TempDir dir;
  std::filesystem::create_directories(dir.path() / "a");
  WriteTo(dir.File("a/run.sh"), "x");
  const std::string before = PackedArtifact::Of(dir.File("a"))->sha256();
  REQUIRE(chmod(dir.File("a/run.sh").c_str(), 0755) == 0);
  CHECK(PackedArtifact::Of(dir.File("a"))->sha256() != before);
}

TEST_CASE("artifact pack: a file is taken as it is, and not removed") {
  TempDir dir;
  WriteTo(dir.File("app.tgz"), "abc");
  {
    const auto artifact = PackedArtifact::Of(dir.File("app.tgz"));
    REQUIRE(artifact.ok());
    CHECK(artifact->path() == dir.File("app.tgz"));
    CHECK(artifact->sha256() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  }
  CHECK(std::filesystem::exists(dir.File("app.tgz")));
}

TEST_CASE("artifact pack: its own file goes with it") {
  TempDir dir;
  std::filesystem::create_directories(dir.path() / "a");
  std::string path;
  {
    const auto artifact = PackedArtifact::Of(dir.File("a"));
    REQUIRE(artifact.ok());
    path = artifact->path();
    CHECK(std::filesystem::exists(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("artifact pack: what is not there, or no file, is refused") {
  TempDir dir;
  CHECK(absl::IsNotFound(PackedArtifact::Of(dir.File("none")).status()));
  std::filesystem::create_directories(dir.path() / "a");
  REQUIRE(mkfifo(dir.File("a/pipe").c_str(), 0600) == 0);
  CHECK(absl::IsInvalidArgument(PackedArtifact::Of(dir.File("a")).status()));
}

}  // namespace
}  // namespace appsup::cli
