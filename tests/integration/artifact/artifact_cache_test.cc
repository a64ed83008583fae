#include "agent/artifact/artifact_cache.h"

#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>

#include "common/digest.h"
#include "common/file.h"
#include "common/status.h"
#include "tests/support/drive_loop.h"
#include "tests/support/http_server.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/agent/artifact/archive_file.h"

namespace appsup::agent {
namespace {

namespace fs = std::filesystem;
using appsupervisor::v1::Artifact;
using appsupervisor::v1::Install;
using testing::DriveUntil;
using testing::HttpServer;

class FakeInstaller : public InstallRunner {
 public:
  void RunInstall(const InstallJob& job, Done done) override {
    ran.push_back(job);
    running[job.id] = std::move(done);
  }
  void CancelInstall(uint64_t id) override { cancelled += running.erase(id); }
  void End(absl::Status status) {
    Done done = std::move(running.begin()->second);
    running.erase(running.begin());
    done(std::move(status));
  }

  std::vector<InstallJob> ran;
  std::map<uint64_t, Done> running;
  size_t cancelled = 0;
};

class FakeBlobs : public BlobFetcher {
 public:
  absl::Status FetchBlob(const std::string& sha256, int64_t offset, const Sink& sink) override {
    offsets.push_back(offset);
    if (Sha256Hex(data) != sha256) return absl::NotFoundError("no such blob");
    sink.on_size(static_cast<int64_t>(data.size()));
    const size_t half = data.size() / 2;
    if (break_off && offset == 0) {
      RETURN_IF_ERROR(sink.on_data(data.substr(0, half)));
      return absl::UnavailableError("the stream broke");
    }
    return sink.on_data(data.substr(static_cast<size_t>(offset)));
  }

  std::string data;
  bool break_off = false;
  std::vector<int64_t> offsets;
};

struct Fixture {
  testing::TempDir dir;
  std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
  SystemClock clock;
  SeededRandom random{1};
  FakeInstaller installer;
  FakeBlobs blobs;
  ArtifactOptions options{.cache_dir = dir.File("cache"),
                          .max_download_bytes = 1 << 20,
                          .max_unpacked_bytes = 1 << 20,
                          .fetch_tries = 3,
                          .first_retry = absl::Milliseconds(5),
                          .connect_timeout = absl::Seconds(5),
                          .stall_timeout = absl::Seconds(5)};
  std::unique_ptr<ArtifactCache> cache = Open();
  using Answer = std::optional<absl::StatusOr<ArtifactReady>>;

  std::unique_ptr<ArtifactCache> Open() {
    auto opened = ArtifactCache::Create(*loop, clock, random, options, &blobs, &installer);
    REQUIRE(opened.ok());
    return std::move(*opened);
  }
  void Reopen() {
    cache.reset();
    cache = Open();
  }
  ArtifactCache::RequestId Begin(const Artifact& artifact, Answer* answer,
                                 const Install& install = {}) {
    return cache->Ensure(artifact, install, [answer](auto ready) { *answer = std::move(ready); });
  }
  void Wait(const std::function<bool()>& condition) { REQUIRE(DriveUntil(*loop, condition)); }
  absl::StatusOr<ArtifactReady> Ensure(const Artifact& artifact, const Install& install = {}) {
    Answer answer;
    Begin(artifact, &answer, install);
    REQUIRE_FALSE(answer);
    Wait([&] { return answer.has_value(); });
    return *answer;
  }
  // An archive with one file in the temporary folder.
  std::string MakeArchive(const std::string& name, const std::string& data) {
    ArchiveFile(dir.File(name)).File("app/run.sh", "#!/bin/sh\n" + data, 0755);
    return dir.File(name);
  }
  size_t Litter() const {
    const fs::directory_iterator files(options.cache_dir + "/tmp");
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
};

Artifact Uri(const std::string& uri, const std::string& sha256 = "") {
  Artifact artifact;
  artifact.set_uri(uri);
  artifact.set_sha256(sha256);
  return artifact;
}

Install Command(const std::string& word) {
  Install install;
  install.add_command(word);
  return install;
}

TEST_CASE("artifact cache: a file URI is fetched, verified and unpacked once") {
  Fixture f;
  const std::string file = f.MakeArchive("app.tgz", "one");
  const std::string digest = Sha256File(file).value();
  const auto ready = f.Ensure(Uri("file://" + file, digest));
  REQUIRE(ready.ok());
  CHECK(ready->path == f.options.cache_dir + "/" + digest);
  CHECK(ready->sha256 == digest);
  CHECK(ReadFile(ready->path + "/app/run.sh").value() == "#!/bin/sh\none");
  CHECK(f.cache->bytes() == 13);
  // The source is not needed any more, not even by the next life of the agent.
  fs::remove(file);
  CHECK(f.Ensure(Uri("file://" + file, digest)).ok());
  f.Reopen();
  CHECK(f.Ensure(Uri("file://" + file, digest))->path == ready->path);
}

TEST_CASE("artifact cache: trees can be read by every user") {
  Fixture f;
  const mode_t before = umask(077);
  const auto ready = f.Ensure(Uri("file://" + f.MakeArchive("app.tgz", "one")));
  umask(before);
  REQUIRE(ready.ok());
  for (const std::string& path : {f.options.cache_dir, ready->path, ready->path + "/app/run.sh"}) {
    struct stat info {};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0755);
  }
}

TEST_CASE("artifact cache: a digest that is not known yet is found out") {
  Fixture f;
  const std::string file = f.MakeArchive("app.tgz", "one");
  const auto ready = f.Ensure(Uri("file://" + file));
  REQUIRE(ready.ok());
  CHECK(ready->sha256 == Sha256File(file).value());
}

TEST_CASE("artifact cache: a wrong digest names both") {
  Fixture f;
  const std::string file = f.MakeArchive("app.tgz", "one");
  const std::string wrong(64, 'a');
  const auto ready = f.Ensure(Uri("file://" + file, wrong));
  CHECK(ErrorReason(ready.status()) == "ARTIFACT_DIGEST_MISMATCH");
  CHECK(std::string(ready.status().message()) ==
        "fetch file://" + file + ": the " + std::to_string(fs::file_size(file)) +
            " bytes have sha256 " + Sha256File(file).value() + ", expected " + wrong);
  f.Wait([&] { return f.Litter() == 0; });
  CHECK_FALSE(fs::exists(f.options.cache_dir + "/" + wrong));
}

TEST_CASE("artifact cache: what cannot be fetched is said in libcurl's words") {
  Fixture f;
  const std::string port = std::to_string(testing::UnusedPort());
  auto ready = f.Ensure(Uri("http://127.0.0.1:" + port + "/x.tgz"));
  CHECK(absl::IsUnavailable(ready.status()));
  CHECK(ErrorReason(ready.status()) == "ARTIFACT_UNREACHABLE");
  const std::string message(ready.status().message());
  CHECK(message.find("fetch http://127.0.0.1:" + port + "/x.tgz: Failed to connect") == 0);
  CHECK(message.find("Connection refused") != std::string::npos);
  ready = f.Ensure(Uri("file:///does/not/exist"));
  CHECK(absl::IsNotFound(ready.status()));
  CHECK(std::string(ready.status().message()).find("Couldn't open file /does/not/exist") !=
        std::string::npos);
  CHECK(absl::IsFailedPrecondition(f.Ensure(Artifact()).status()));
}

TEST_CASE("artifact cache: http answers decide on another try") {
  Fixture f;
  std::map<std::string, int> seen;
  std::mutex mutex;
  HttpServer server([&](const HttpServer::Request& request, const HttpServer::Write& write) {
    std::lock_guard lock(mutex);
    const int times = ++seen[request.target];
    if (request.target == "/moved") {
      write(HttpServer::Answer(302, "", "Location: /good\r\n"));
    } else if (request.target == "/loop") {
      write(HttpServer::Answer(302, "", "Location: /loop\r\n"));
    } else if (request.target == "/good" || (request.target == "/flaky" && times == 3)) {
      write(HttpServer::Answer(200, "#!/bin/sh\n"));
    } else {
      write(HttpServer::Answer(request.target == "/absent"      ? 404
                               : request.target == "/forbidden" ? 403
                                                                : 503,
                               "error page"));
    }
  });
  CHECK(f.Ensure(Uri(server.url("/moved"))).ok());
  const auto flaky = f.Ensure(Uri(server.url("/flaky")));
  REQUIRE(flaky.ok());
  CHECK(ReadFile(flaky->path + "/flaky").value() == "#!/bin/sh\n");
  auto ready = f.Ensure(Uri(server.url("/down")));
  CHECK(absl::IsUnavailable(ready.status()));
  CHECK(std::string(ready.status().message()) ==
        "fetch " + server.url("/down") + ": HTTP status 503");
  CHECK(seen["/down"] == 3);
  ready = f.Ensure(Uri(server.url("/absent")));
  CHECK(absl::IsNotFound(ready.status()));
  CHECK(seen["/absent"] == 1);
  CHECK(absl::IsFailedPrecondition(f.Ensure(Uri(server.url("/forbidden"))).status()));
  CHECK(seen["/forbidden"] == 1);
  CHECK(absl::IsFailedPrecondition(f.Ensure(Uri(server.url("/loop"))).status()));
}

TEST_CASE("artifact cache: a broken download goes on where it was") {
  Fixture f;
  std::string body = "#!";
  for (int i = 0; i < 20'000; ++i) body += static_cast<char>('a' + i * 31 % 26);
  const std::string half = body.substr(0, 10'000);
  std::vector<std::string> ranges;
  bool knows_ranges = true;
  std::mutex mutex;
  HttpServer server([&](const HttpServer::Request& request, const HttpServer::Write& write) {
    std::lock_guard lock(mutex);
    const auto range = request.headers.find("range");
    ranges.push_back(range == request.headers.end() ? "" : range->second);
    if (ranges.size() == 1) {
      write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
            half);
    } else if (knows_ranges) {
      const std::string rest = body.substr(half.size());
      write(HttpServer::Answer(206, rest,
                               "Content-Range: bytes " + std::to_string(half.size()) + "-" +
                                   std::to_string(body.size() - 1) + "/" +
                                   std::to_string(body.size()) + "\r\n"));
    } else {
      write(HttpServer::Answer(200, body));
    }
  });
  SECTION("the source knows ranges") {
    const auto ready = f.Ensure(Uri(server.url("/x"), Sha256Hex(body)));
    REQUIRE(ready.ok());
    CHECK(ReadFile(ready->path + "/x").value() == body);
    CHECK(ranges == std::vector<std::string>{"", "bytes=10000-"});
  }
  SECTION("the source sends all of it again") {
    knows_ranges = false;
    const auto ready = f.Ensure(Uri(server.url("/x"), Sha256Hex(body)));
    REQUIRE(ready.ok());
    CHECK(ReadFile(ready->path + "/x").value() == body);
  }
  SECTION("without a digest or an ETag nobody knows whether it is still the same") {
    knows_ranges = false;
    REQUIRE(f.Ensure(Uri(server.url("/x"))).ok());
    CHECK(ranges == std::vector<std::string>{"", ""});
  }
  SECTION("it was not the same: from the beginning once more") {
    const std::string expected = body;
    body = "#!" + std::string(20'000, 'z');
    const auto ready = f.Ensure(Uri(server.url("/x"), Sha256Hex(half + body.substr(half.size()))));
    CHECK(ready.ok());  // What the two answers give together.
    ranges.clear();
    const auto changed = f.Ensure(Uri(server.url("/x"), Sha256Hex(body)));
    CHECK(ErrorReason(changed.status()) == "ARTIFACT_DIGEST_MISMATCH");
    CHECK(ranges.size() == 3);
    CHECK(ranges.back() == "");
  }
}

TEST_CASE("artifact cache: a source without end is cut off at the bound") {
  Fixture f;
  HttpServer server([](const HttpServer::Request& request, const HttpServer::Write& write) {
    write(request.target == "/honest" ? "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
                                      : "HTTP/1.1 200 OK\r\n\r\n");
    const std::string block(64 << 10, 'x');
    while (write(block)) {
    }
  });
  for (const char* target : {"/endless", "/honest"}) {
    const auto ready = f.Ensure(Uri(server.url(target)));
    CHECK(ErrorReason(ready.status()) == "ARTIFACT_TOO_LARGE");
    CHECK(std::string(ready.status().message()).find("more than 1MiB") != std::string::npos);
  }
}

TEST_CASE("artifact cache: blobs come from the entry, over broken streams too") {
  Fixture f;
  f.blobs.data = "#!/bin/sh\necho blob\n";
  f.blobs.break_off = true;
  Artifact artifact;
  artifact.set_blob("blobs/" + Sha256Hex(f.blobs.data));
  const auto ready = f.Ensure(artifact);
  REQUIRE(ready.ok());
  CHECK(ReadFile(ready->path + "/artifact").value() == f.blobs.data);
  CHECK(f.blobs.offsets == std::vector<int64_t>{0, 10});
  artifact.set_blob("blobs/" + std::string(64, '0'));
  const auto absent = f.Ensure(artifact);
  CHECK(absl::IsNotFound(absent.status()));
  CHECK(std::string(absent.status().message()) ==
        "fetch blobs/" + std::string(64, '0') + " from the entry: no such blob");
}

TEST_CASE("artifact cache: requests for one key share one job") {
  Fixture f;
  HttpServer server([](const HttpServer::Request&, const HttpServer::Write& write) {
    write(HttpServer::Answer(200, "#!/bin/sh\n"));
  });
  const Artifact artifact = Uri(server.url("/x"), Sha256Hex("#!/bin/sh\n"));
  std::vector<Fixture::Answer> answers(20);
  for (Fixture::Answer& answer : answers) f.Begin(artifact, &answer);
  f.Wait([&] {
    return std::all_of(answers.begin(), answers.end(), [](auto& a) { return a.has_value(); });
  });
  for (const Fixture::Answer& answer : answers) CHECK((*answer)->path == (*answers[0])->path);
  CHECK(server.requests() == 1);
}

TEST_CASE("artifact cache: the same bytes under two names are one tree with both") {
  Fixture f;
  HttpServer server([](const HttpServer::Request&, const HttpServer::Write& write) {
    write(HttpServer::Answer(200, "#!/bin/sh\n"));
  });
  Fixture::Answer one;
  Fixture::Answer two;
  f.Begin(Uri(server.url("/one")), &one);
  f.Begin(Uri(server.url("/two")), &two);
  f.Wait([&] { return one && two; });
  REQUIRE((one->ok() && two->ok()));
  CHECK((*one)->path == (*two)->path);
  CHECK(fs::exists((*one)->path + "/one"));
  CHECK(fs::exists((*one)->path + "/two"));
  Artifact archive = Uri(server.url("/one"), (*one)->sha256);
  archive.set_unpack(appsupervisor::v1::UNPACK_MODE_ARCHIVE);
  CHECK(ErrorReason(f.Ensure(archive).status()) == "ARTIFACT_INVALID");
}

TEST_CASE("artifact cache: install runs once per artifact and command") {
  Fixture f;
  const std::string uri = "file://" + f.MakeArchive("app.tgz", "one");
  Fixture::Answer first;
  Fixture::Answer second;
  f.Begin(Uri(uri), &first, Command("build"));
  f.Begin(Uri(uri), &second, Command("build"));
  f.Wait([&] { return f.installer.ran.size() == 1; });
  const InstallJob job = f.installer.ran[0];
  CHECK(job.command == std::vector<std::string>{"build"});
  CHECK(job.timeout == absl::Minutes(30));
  CHECK(fs::exists(job.folder + "/app/run.sh"));
  std::ofstream(job.folder + "/built") << std::string(1000, 'b');
  f.installer.End(absl::OkStatus());
  f.Wait([&] { return first && second; });
  REQUIRE((first->ok() && second->ok()));
  CHECK((*first)->path == job.folder);
  CHECK(f.cache->bytes() == 1013);
  const std::string digest = (*first)->sha256;
  CHECK(f.Ensure(Uri(uri, digest), Command("build")).ok());
  f.Reopen();
  CHECK(f.Ensure(Uri(uri, digest), Command("build"))->path == job.folder);
  CHECK(f.installer.ran.size() == 1);
  // Another command, or none, is another tree.
  CHECK(f.Ensure(Uri(uri, digest))->path != job.folder);
  f.Begin(Uri(uri, digest), &first, Command("other"));
  f.Wait([&] { return f.installer.ran.size() == 2; });
  CHECK(f.installer.ran[1].folder != job.folder);
}

TEST_CASE("artifact cache: an install that failed or was interrupted begins from clean code") {
  Fixture f;
  const std::string uri = "file://" + f.MakeArchive("app.tgz", "one");
  Fixture::Answer answer;
  const auto request = f.Begin(Uri(uri), &answer, Command("build"));
  f.Wait([&] { return f.installer.ran.size() == 1; });
  const std::string folder = f.installer.ran[0].folder;
  std::ofstream(folder + "/half") << "x";
  SECTION("it failed") {
    f.installer.End(absl::InternalError("build ended with code 2: no compiler"));
    f.Wait([&] { return answer.has_value(); });
    CHECK(ErrorReason(answer->status()) == "INSTALL_FAILED");
    CHECK(std::string(answer->status().message()) ==
          "install: build ended with code 2: no compiler");
    CHECK_FALSE(fs::exists(folder));
  }
  SECTION("the agent ended") {
    f.Reopen();
    CHECK(f.installer.cancelled == 1);
    CHECK_FALSE(fs::exists(folder));
  }
  SECTION("nobody wanted it any more") {
    f.cache->Cancel(request);
    CHECK(f.installer.cancelled == 1);
    CHECK_FALSE(fs::exists(folder));
  }
  answer.reset();
  f.Begin(Uri(uri), &answer, Command("build"));
  f.Wait([&] { return f.installer.ran.size() == 2; });
  CHECK_FALSE(fs::exists(folder + "/half"));
  CHECK(fs::exists(folder + "/app/run.sh"));
  f.installer.End(absl::OkStatus());
  f.Wait([&] { return answer.has_value(); });
  CHECK(answer->ok());
}

TEST_CASE("artifact cache: a job ends when nobody waits for it") {
  Fixture f;
  HttpServer server([](const HttpServer::Request& request, const HttpServer::Write& write) {
    if (request.target == "/quick") {
      write(HttpServer::Answer(200, "#!"));
      return;
    }
    write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
    HttpServer::WaitForClose(write);
  });
  const std::string uri = "file://" + f.MakeArchive("app.tgz", "one");
  Fixture::Answer slow;
  Fixture::Answer other;
  Fixture::Answer install;
  const auto first = f.Begin(Uri(server.url("/slow")), &slow);
  const auto second = f.Begin(Uri(server.url("/slow")), &other);
  const auto third = f.Begin(Uri(uri), &install, Command("build"));
  f.Wait([&] { return server.requests() == 1 && f.installer.ran.size() == 1; });
  f.cache->Cancel(first);
  f.cache->Cancel(third);
  CHECK(f.installer.cancelled == 1);
  CHECK(f.Litter() >= 1);  // The second still waits for the slow one.
  f.cache->Cancel(second);
  f.cache->Cancel(second);
  f.Wait([&] { return f.Litter() == 0; });
  CHECK(f.Ensure(Uri(server.url("/quick"))).ok());
  CHECK_FALSE((slow || other || install));
}

TEST_CASE("artifact cache: progress is told while it fetches") {
  Fixture f;
  std::atomic<bool> go{false};
  HttpServer server([&](const HttpServer::Request&, const HttpServer::Write& write) {
    write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n#!abc");
    while (!go && write("")) {
    }
    write("defgh");
  });
  std::vector<std::pair<int64_t, int64_t>> told;
  Fixture::Answer answer;
  f.cache->Ensure(
      Uri(server.url("/x")), {}, [&](auto ready) { answer = std::move(ready); },
      [&](int64_t bytes, int64_t total) { told.emplace_back(bytes, total); });
  f.Wait([&] { return !told.empty(); });
  CHECK(told[0] == std::pair<int64_t, int64_t>(5, 10));
  go = true;
  f.Wait([&] { return answer.has_value(); });
  CHECK(answer->ok());
}

TEST_CASE("artifact cache: collecting keeps what is in use and what was used last") {
  Fixture f;
  std::vector<std::string> paths;
  for (int i = 0; i < 3; ++i) {
    const std::string file = f.dir.File("f" + std::to_string(i));
    std::ofstream(file) << "#!" << std::string(1000, static_cast<char>('0' + i));
    paths.push_back(f.Ensure(Uri("file://" + file))->path);
  }
  CHECK(f.cache->bytes() == 3006);
  CHECK(f.cache->Collect({}) == 0);
  f.options.max_cache_bytes = 2100;
  f.Reopen();
  CHECK(f.cache->Collect({paths[0]}) == 1);
  CHECK(f.cache->bytes() == 2004);
  CHECK(fs::exists(paths[0]));
  CHECK_FALSE(fs::exists(paths[1]));
  CHECK(fs::exists(paths[2]));
  f.Wait([&] { return f.Litter() == 0; });
  f.options.max_cache_bytes = 0;
  f.Reopen();
  CHECK(f.cache->Collect({paths[0]}) == 1);
  CHECK(fs::exists(paths[0]));
}

TEST_CASE("artifact cache: an evil archive leaves nothing behind") {
  Fixture f;
  ArchiveFile(f.dir.File("evil.tgz")).File("good", "x").File("../../evil", "x");
  const auto ready = f.Ensure(Uri("file://" + f.dir.File("evil.tgz")));
  CHECK(ErrorReason(ready.status()) == "ARTIFACT_INVALID");
  f.Wait([&] { return f.Litter() == 0; });
  CHECK_FALSE(fs::exists(f.dir.path() / "evil"));
  const fs::directory_iterator files(f.options.cache_dir);
  CHECK(std::distance(begin(files), end(files)) == 1);  // tmp
}

TEST_CASE("artifact cache: a cache that cannot be written is said so") {
  Fixture f;
  std::ofstream(f.dir.File("file")) << "x";
  f.options.cache_dir = f.dir.File("file") + "/cache";
  const auto opened =
      ArtifactCache::Create(*f.loop, f.clock, f.random, f.options, nullptr, nullptr);
  REQUIRE_FALSE(opened.ok());
  CHECK(std::string(opened.status().message()).find(f.dir.File("file")) != std::string::npos);
}

TEST_CASE("artifact cache: without an entry or a runner such wishes are refused") {
  Fixture f;
  f.options.cache_dir = f.dir.File("other");
  auto bare = ArtifactCache::Create(*f.loop, f.clock, f.random, f.options, nullptr, nullptr);
  REQUIRE(bare.ok());
  f.cache = std::move(*bare);
  Artifact artifact;
  artifact.set_blob("blobs/" + std::string(64, '0'));
  CHECK(ErrorReason(f.Ensure(artifact).status()) == "ARTIFACT_INVALID");
  CHECK(ErrorReason(f.Ensure(Uri("file:///x"), Command("make")).status()) == "ARTIFACT_INVALID");
}

}  // namespace
}  // namespace appsup::agent
