#include "agent/artifact/unpack.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "common/file.h"
#include "common/status.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/agent/artifact/archive_file.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::UNPACK_MODE_ARCHIVE;
using appsupervisor::v1::UNPACK_MODE_NONE;
using appsupervisor::v1::UNPACK_MODE_UNSPECIFIED;
using appsupervisor::v1::UnpackMode;

struct Fixture {
  testing::TempDir dir;
  std::string file = dir.File("download");
  std::string into = dir.File("into");
  UnpackLimits limits{.max_bytes = 1 << 20, .max_entries = 100};
  std::atomic<bool> cancelled{false};

  Fixture() { std::filesystem::create_directory(into); }

  absl::StatusOr<Unpacked> Run(UnpackMode mode = UNPACK_MODE_UNSPECIFIED) {
    return Unpack(file, "server.bin", "http://host/server.bin", mode, into, limits, cancelled);
  }
  std::string Refusal() {
    const auto unpacked = Run();
    REQUIRE_FALSE(unpacked.ok());
    CHECK(ErrorReason(unpacked.status()) == "ARTIFACT_INVALID");
    return std::string(unpacked.status().message());
  }
  void Write(const std::string& bytes) { std::ofstream(file) << bytes; }
  std::string Read(const std::string& name) { return ReadFile(into + "/" + name).value(); }
  int Mode(const std::string& name) {
    struct stat info {};
    REQUIRE(lstat((into + "/" + name).c_str(), &info) == 0);
    return static_cast<int>(info.st_mode & 07777);
  }
};

TEST_CASE("unpack: tar, tar.gz, tar.xz and zip give the same tree") {
  for (const std::string format : {"tar", "tar.gz", "tar.xz", "zip"}) {
    INFO(format);
    Fixture f;
    ArchiveFile(f.file, format)
        .Folder("app/")
        .File("./app/bin/run", "#!/bin/sh\n", 0700)
        .File("app/data.txt", "data", 0600)
        .File("empty", "")
        .Symlink("app/link", "bin/run");
    const auto unpacked = f.Run();
    REQUIRE(unpacked.ok());
    CHECK_FALSE(unpacked->single_file);
    CHECK(unpacked->bytes == 14);
    CHECK(f.Read("app/bin/run") == "#!/bin/sh\n");
    CHECK(f.Read("app/link") == "#!/bin/sh\n");
    CHECK(f.Read("empty") == "");
    CHECK(f.Mode("app") == 0755);
    CHECK(f.Mode("app/bin") == 0755);
    CHECK(f.Mode("app/bin/run") == 0755);
    CHECK(f.Mode("app/data.txt") == 0644);
  }
}

TEST_CASE("unpack: names keep their characters, although a service has the C locale") {
  const std::string script =
      "import sys, tarfile, zipfile, io\n"
      "name, data = 'gr\\u00fcn \\u20ac.txt', b'data'\n"
      "zipfile.ZipFile(sys.argv[1], 'w').writestr(name, data)\n"
      "info = tarfile.TarInfo(name); info.size = 4\n"
      "tarfile.open(sys.argv[2], 'w:gz').addfile(info, io.BytesIO(data))\n";
  Fixture zip;
  Fixture tar;
  const std::string script_path = zip.dir.File("make.py");
  std::ofstream(script_path) << script;
  REQUIRE(system(("python3 " + script_path + " " + zip.file + " " + tar.file).c_str()) == 0);
  for (Fixture* f : {&zip, &tar}) {
    REQUIRE(f->Run().ok());
    CHECK(f->Read("gr\xC3\xBCn \xE2\x82\xAC.txt") == "data");
  }
}

TEST_CASE("unpack: the umask and special bits of the archive play no part") {
  Fixture f;
  ArchiveFile(f.file).File("deep/er/tool", "x", 06755).File("plain", "x", 0);
  const mode_t before = umask(077);
  const auto unpacked = f.Run();
  umask(before);
  REQUIRE(unpacked.ok());
  CHECK(f.Mode("deep/er") == 0755);
  CHECK(f.Mode("deep/er/tool") == 0755);
  CHECK(f.Mode("plain") == 0644);
}

TEST_CASE("unpack: paths that lead out are refused and nothing is written there") {
  for (const std::string format : {"tar", "zip"}) {
    Fixture f;
    ArchiveFile(f.file, format).File("../evil", "x");
    CHECK(f.Refusal().find("\"../evil\" leads out of the folder by \"..\"") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(f.dir.path() / "evil"));
  }
  Fixture inner;
  ArchiveFile(inner.file).File("a/../../evil", "x");
  CHECK(inner.Refusal().find("leads out") != std::string::npos);
  Fixture absolute;
  ArchiveFile(absolute.file).File("/tmp/evil", "x");
  CHECK(absolute.Refusal().find("\"/tmp/evil\" has an absolute path") != std::string::npos);
}

TEST_CASE("unpack: links that lead out are refused") {
  for (const std::string target : {"/etc/passwd", "..", "../into/../../x", "a/../../.."}) {
    INFO(target);
    Fixture f;
    ArchiveFile(f.file).Symlink("sub/link", target == ".." ? "../.." : target);
    CHECK(f.Refusal().find("lies outside of the folder") != std::string::npos);
  }
  Fixture hard;
  ArchiveFile(hard.file).HardLink("link", "../../etc/passwd");
  CHECK(hard.Refusal().find("leads out") != std::string::npos);
  Fixture by_links;
  // By its text alone the second link stays inside.
  ArchiveFile(by_links.file)
      .File("x/y/f", "")
      .Symlink("x/y/up", "../..")
      .Symlink("out", "x/y/up/../etc");
  CHECK(by_links.Refusal().find("\"out\" is a link to") != std::string::npos);
}

TEST_CASE("unpack: nothing is written through a link") {
  Fixture f;
  std::filesystem::create_directory(f.dir.path() / "outside");
  ArchiveFile(f.file).Folder("real").Symlink("door", "real").File("door/file", "x");
  CHECK(f.Refusal().find("\"door/file\" lies below \"door\", which is no folder") !=
        std::string::npos);
  Fixture hard;
  ArchiveFile(hard.file).Folder("real").Symlink("door", "real").HardLink("copy", "door/file");
  CHECK(hard.Refusal().find("which is no folder") != std::string::npos);
}

TEST_CASE("unpack: links within the tree are kept") {
  Fixture f;
  ArchiveFile(f.file)
      .File("a/file", "data")
      .Symlink("b/link", "../a/file")
      .Symlink("later", "c/not-yet")
      .HardLink("hard", "a/file");
  REQUIRE(f.Run().ok());
  CHECK(f.Read("b/link") == "data");
  CHECK(f.Read("hard") == "data");
  CHECK(std::filesystem::read_symlink(f.into + "/later") == "c/not-yet");
}

TEST_CASE("unpack: a later entry replaces an earlier one, but no folder") {
  Fixture f;
  ArchiveFile(f.file).File("f", "old").Symlink("l", "f").File("f", "new").File("l", "file");
  REQUIRE(f.Run().ok());
  CHECK(f.Read("f") == "new");
  CHECK(f.Read("l") == "file");
  Fixture folder;
  ArchiveFile(folder.file).File("d/x", "").File("d", "x");
  CHECK(folder.Refusal().find("\"d\" has the name of a folder") != std::string::npos);
}

TEST_CASE("unpack: devices and the like are refused") {
  Fixture f;
  ArchiveFile(f.file).Fifo("pipe");
  CHECK(f.Refusal().find("\"pipe\" is neither a file, nor a folder, nor a link") !=
        std::string::npos);
}

TEST_CASE("unpack: bounds are named") {
  Fixture many;
  many.limits.max_entries = 2;
  ArchiveFile(many.file).File("1", "").File("2", "").File("3", "");
  auto unpacked = many.Run();
  CHECK(ErrorReason(unpacked.status()) == "ARTIFACT_TOO_LARGE");
  CHECK(std::string(unpacked.status().message()) ==
        "unpack http://host/server.bin: it has more than 2 entries, the most that an artifact may "
        "have");
  for (const std::string format : {"tar.gz", "zip"}) {
    Fixture large;
    large.limits.max_bytes = 100'000;
    ArchiveFile(large.file, format).File("bomb", std::string(200'000, 0));
    unpacked = large.Run();
    CHECK(ErrorReason(unpacked.status()) == "ARTIFACT_TOO_LARGE");
    CHECK(std::string(unpacked.status().message()).find("more than 100000B") != std::string::npos);
  }
}

TEST_CASE("unpack: what is no archive is placed under its own name") {
  const std::vector<std::pair<std::string, int>> cases = {{"just text", 0644},
                                                          {"#!/bin/sh\necho", 0755},
                                                          {"\x7F"
                                                           "ELF-and-so-on",
                                                           0755},
                                                          {"", 0644}};
  for (const auto& [bytes, mode] : cases) {
    INFO(bytes);
    Fixture f;
    f.Write(bytes);
    const auto unpacked = f.Run();
    REQUIRE(unpacked.ok());
    CHECK(unpacked->single_file);
    CHECK(unpacked->bytes == static_cast<int64_t>(bytes.size()));
    CHECK(f.Read("server.bin") == bytes);
    CHECK(f.Mode("server.bin") == mode);
    Fixture archive;
    archive.Write(bytes);
    const auto refused = archive.Run(UNPACK_MODE_ARCHIVE);
    CHECK(std::string(refused.status().message()).find("it is no archive") != std::string::npos);
  }
}

TEST_CASE("unpack: an archive is kept as it is if the spec says so, or if it can run") {
  Fixture none;
  ArchiveFile(none.file).File("f", "x");
  REQUIRE(none.Run(UNPACK_MODE_NONE)->single_file);
  CHECK(none.Read("server.bin") == ReadFile(none.file).value());
  Fixture self_running;
  ArchiveFile(self_running.dir.File("zip"), "zip").File("f", "x");
  self_running.Write("#!/usr/bin/env python3\n" + ReadFile(self_running.dir.File("zip")).value());
  REQUIRE(self_running.Run()->single_file);
}

TEST_CASE("unpack: a damaged archive is an error, not a file") {
  Fixture f;
  std::string noise;
  for (int i = 0; i < 100'000; ++i) noise += static_cast<char>(i * 7919 >> 3);
  ArchiveFile(f.file).File("f", noise);
  const std::string whole = ReadFile(f.file).value();
  f.Write(whole.substr(0, whole.size() / 2));
  CHECK(f.Refusal().find("unpack http://host/server.bin: ") == 0);
}

TEST_CASE("unpack: it can be cancelled") {
  Fixture f;
  ArchiveFile(f.file).File("f", "x");
  f.cancelled = true;
  CHECK(absl::IsCancelled(f.Run().status()));
}

}  // namespace
}  // namespace appsup::agent
