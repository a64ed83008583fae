#include "agent/log/log_reader.h"

#include <fcntl.h>
#include <unistd.h>
#include <utime.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>

#include "tests/support/drive_loop.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::LOG_STREAM_STDERR;
using appsupervisor::v1::LOG_STREAM_STDOUT;
using appsupervisor::v1::LogChunk;
using appsupervisor::v1::ReadLog;
using testing::DriveUntil;

struct Fixture {
  testing::TempDir dir;
  std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
  SystemClock clock;
  std::unique_ptr<LogReader> reader =
      LogReader::Create(*loop, clock, {.log_dir = dir.path().string()}).value();

  std::string Path(int attempt, const std::string& stream = "stdout") const {
    return dir.File("u/" + std::to_string(attempt) + "." + stream);
  }
  void Write(int attempt, const std::string& text, const std::string& stream = "stdout") {
    std::filesystem::create_directories(dir.path() / "u");
    std::ofstream(Path(attempt, stream), std::ios::app) << text;
  }
  void SetAge(int attempt, absl::Duration age) {
    const time_t time = absl::ToTimeT(clock.Now().wall - age);
    const utimbuf times{time, time};
    REQUIRE(utime(Path(attempt).c_str(), &times) == 0);
  }

  static ReadLog Request() {
    ReadLog request;
    request.set_instance_uid("u");
    request.set_stream(LOG_STREAM_STDOUT);
    return request;
  }
  static ReadLog At(int64_t attempt, int64_t offset) {
    ReadLog request = Request();
    request.set_attempt(attempt);
    request.set_offset(offset);
    return request;
  }
  static ReadLog Waiting(int64_t attempt, int64_t offset) {
    ReadLog request = At(attempt, offset);
    request.mutable_wait()->set_seconds(20);
    return request;
  }

  absl::StatusOr<LogChunk> Read(const ReadLog& request) {
    std::optional<absl::StatusOr<LogChunk>> answer;
    reader->Read(request, [&](absl::StatusOr<LogChunk> chunk) { answer = std::move(chunk); });
    REQUIRE_FALSE(answer);
    REQUIRE(DriveUntil(*loop, [&] { return answer.has_value(); }));
    return *answer;
  }
};

TEST_CASE("log reader: a log is read in chunks from place to place") {
  Fixture f;
  f.Write(1, "one\ntwo\nthree\n");
  ReadLog request = Fixture::Request();
  request.set_max_bytes(9);
  auto chunk = f.Read(request);
  REQUIRE(chunk.ok());
  CHECK(chunk->data() == "one\ntwo\n");
  CHECK(chunk->attempt() == 1);
  CHECK(chunk->offset() == 0);
  CHECK(chunk->next_attempt() == 1);
  CHECK(chunk->next_offset() == 8);
  CHECK_FALSE(chunk->at_end());
  chunk = f.Read(Fixture::At(chunk->next_attempt(), chunk->next_offset()));
  CHECK(chunk->data() == "three\n");
  CHECK(chunk->at_end());
  chunk = f.Read(Fixture::At(1, chunk->next_offset()));
  CHECK(chunk->data() == "");
  CHECK(chunk->next_offset() == 14);
  CHECK(chunk->at_end());
}

TEST_CASE("log reader: the end of an attempt leads to the next one") {
  Fixture f;
  f.Write(1, "first\nlast words");
  f.Write(2, "");
  f.Write(4, "fourth\n");
  auto chunk = f.Read(Fixture::At(1, 0));
  CHECK(chunk->data() == "first\nlast words");
  CHECK_FALSE(chunk->at_end());
  chunk = f.Read(Fixture::At(1, chunk->next_offset()));
  CHECK(chunk->attempt() == 4);
  CHECK(chunk->offset() == 0);
  CHECK(chunk->data() == "fourth\n");
  CHECK(chunk->at_end());
  CHECK(f.Read(Fixture::At(0, 0))->attempt() == 4);
  // A deleted attempt counts as the oldest one kept.
  CHECK(f.Read(Fixture::At(3, 17))->data() == "fourth\n");
}

TEST_CASE("log reader: lines are taken from the end, over attempts") {
  Fixture f;
  f.Write(1, "a\nb\n");
  f.Write(2, "c\nd\n");
  ReadLog request = Fixture::Request();
  request.set_lines(1);
  CHECK(f.Read(request)->data() == "d\n");
  request.set_lines(3);
  auto chunk = f.Read(request);
  CHECK(chunk->attempt() == 1);
  CHECK(chunk->data() == "b\n");
  CHECK(chunk->skipped() == 0);
  CHECK_FALSE(chunk->at_end());
  CHECK(f.Read(Fixture::At(1, chunk->next_offset()))->data() == "c\nd\n");
  request.set_lines(50);
  CHECK(f.Read(request)->data() == "a\nb\n");
  request.set_attempt(2);
  CHECK(f.Read(request)->data() == "c\nd\n");
}

TEST_CASE("log reader: a freed head is counted as skipped") {
  Fixture f;
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "line " + std::to_string(i) + "\n";
  f.Write(1, text);
  const int fd = open(f.Path(1).c_str(), O_WRONLY);
  REQUIRE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192) == 0);
  close(fd);
  const auto chunk = f.Read(Fixture::At(1, 100));
  const size_t first = text.find('\n', 8192) + 1;
  CHECK(chunk->offset() == static_cast<int64_t>(first));
  CHECK(chunk->skipped() == static_cast<int64_t>(first) - 100);
  CHECK(chunk->data() == text.substr(first));
}

TEST_CASE("log reader: since leads to the attempt and the place of that time") {
  Fixture f;
  f.Write(1, "old\n");
  f.SetAge(1, absl::Hours(3));
  f.Write(2, "before\n");
  f.reader->AttemptStarted("u", 2);  // Indexed here: 7 bytes.
  const absl::Time started = f.clock.Now().wall;
  // The index says a second later that more was written.
  f.Write(2, "between\n");
  REQUIRE(DriveUntil(*f.loop, [&] {
    std::error_code error;
    return std::filesystem::file_size(f.Path(2) + ".index", error) >= 32 && !error;
  }));
  const auto since = [&](absl::Time time) {
    ReadLog request = Fixture::Request();
    request.mutable_since()->set_seconds(absl::ToUnixSeconds(time));
    const auto nanos =
        absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(absl::ToUnixSeconds(time)));
    request.mutable_since()->set_nanos(static_cast<int32_t>(nanos));
    return f.Read(request).value();
  };
  CHECK(since(started - absl::Hours(4)).data() == "old\n");
  CHECK(since(started - absl::Hours(1)).data() == "before\nbetween\n");
  CHECK(since(started).data() == "between\n");
  const LogChunk later = since(f.clock.Now().wall + absl::Hours(1));
  CHECK(later.data() == "");
  CHECK(later.next_attempt() == 2);
  CHECK(later.next_offset() == 15);
  CHECK(later.at_end());
}

TEST_CASE("log reader: a waiting read is answered by the next line") {
  Fixture f;
  f.Write(1, "one\n");
  f.reader->AttemptStarted("u", 1);
  std::optional<LogChunk> answer;
  f.reader->Read(Fixture::Waiting(1, 4), [&](auto chunk) { answer = chunk.value(); });
  bool quiet = false;
  f.loop->AddTimer(f.clock.Now().boot + absl::Milliseconds(50), [&] { quiet = true; });
  REQUIRE(DriveUntil(*f.loop, [&] { return quiet; }));
  CHECK_FALSE(answer);
  const absl::Duration before = f.clock.Now().boot;
  f.Write(1, "two\n");
  REQUIRE(DriveUntil(*f.loop, [&] { return answer.has_value(); }));
  CHECK(answer->data() == "two\n");
  CHECK(answer->offset() == 4);
  CHECK(f.clock.Now().boot - before < absl::Seconds(5));
}

TEST_CASE("log reader: a waiting read goes on in the next attempt") {
  Fixture f;
  f.Write(1, "one\n");
  std::optional<LogChunk> answer;
  f.reader->Read(Fixture::Waiting(1, 4), [&](auto chunk) { answer = chunk.value(); });
  f.loop->Post([&] { f.Write(2, "again\n"); });
  REQUIRE(DriveUntil(*f.loop, [&] { return answer.has_value(); }));
  CHECK(answer->attempt() == 2);
  CHECK(answer->data() == "again\n");
}

TEST_CASE("log reader: a read may wait for an instance that has written nothing yet") {
  Fixture f;
  std::optional<LogChunk> answer;
  f.reader->Read(Fixture::Waiting(0, 0), [&](auto chunk) { answer = chunk.value(); });
  f.loop->Post([&] { f.Write(1, "hello\n"); });
  REQUIRE(DriveUntil(*f.loop, [&] { return answer.has_value(); }));
  CHECK(answer->data() == "hello\n");
}

TEST_CASE("log reader: an unfinished line is held back while it may be finished") {
  Fixture f;
  f.Write(1, "done\nhalf");
  f.reader->AttemptStarted("u", 1);
  SECTION("it is finished") {
    auto chunk = f.Read(Fixture::At(1, 0));
    CHECK(chunk->data() == "done\n");
    CHECK(chunk->at_end());
    std::optional<LogChunk> answer;
    f.reader->Read(Fixture::Waiting(1, 5), [&](auto read) { answer = read.value(); });
    f.loop->Post([&] { f.Write(1, " and half\n"); });
    REQUIRE(DriveUntil(*f.loop, [&] { return answer.has_value(); }));
    CHECK(answer->data() == "half and half\n");
  }
  SECTION("it rests: somebody was asked for a password") {
    CHECK(f.Read(Fixture::Waiting(1, 5))->data() == "half");
  }
  SECTION("its process ends") {
    std::optional<LogChunk> answer;
    f.reader->Read(Fixture::Waiting(1, 5), [&](auto read) { answer = read.value(); });
    f.loop->Post([&] { f.reader->AttemptEnded("u", 1); });
    REQUIRE(DriveUntil(*f.loop, [&] { return answer.has_value(); }));
    CHECK(answer->data() == "half");
  }
}

TEST_CASE("log reader: waiting ends with what there is") {
  Fixture f;
  f.Write(1, "one\n");
  ReadLog request = Fixture::At(1, 4);
  request.mutable_wait()->set_nanos(30'000'000);
  const auto chunk = f.Read(request);
  REQUIRE(chunk.ok());
  CHECK(chunk->data() == "");
  CHECK(chunk->next_offset() == 4);
  CHECK(chunk->at_end());
}

TEST_CASE("log reader: bad requests are answered by what is wrong") {
  Fixture f;
  f.Write(1, "one\n");
  ReadLog request = Fixture::Request();
  request.set_instance_uid("../u");
  CHECK(absl::IsInvalidArgument(f.Read(request).status()));
  request = Fixture::Request();
  request.clear_stream();
  CHECK(std::string(f.Read(request).status().message()) == "stream: must be STDOUT or STDERR");
  request = Fixture::At(1, -1);
  CHECK(absl::IsInvalidArgument(f.Read(request).status()));
  request = Fixture::Request();
  request.set_instance_uid("v");
  CHECK(std::string(f.Read(request).status().message()) ==
        "there is no log of instance v on this node");
  CHECK(absl::IsNotFound(f.Read(Fixture::At(2, 0)).status()));
}

TEST_CASE("log reader: a cancelled read is not answered") {
  Fixture f;
  f.Write(1, "one\n");
  int answers = 0;
  const auto id = f.reader->Read(Fixture::Waiting(1, 4), [&](auto) { ++answers; });
  bool armed = false;
  f.loop->AddTimer(f.clock.Now().boot + absl::Milliseconds(20), [&] { armed = true; });
  REQUIRE(DriveUntil(*f.loop, [&] { return armed; }));
  f.reader->Cancel(id);
  f.reader->Cancel(id);
  f.Write(1, "two\n");
  CHECK(f.Read(Fixture::Waiting(1, 4))->data() == "two\n");
  CHECK(answers == 0);
}

TEST_CASE("log reader: the last lines prefer what was written to stderr") {
  Fixture f;
  f.Write(1, "out 1\nout 2\nout 3\n");
  f.Write(1, "err 1\nerr \xFF 2", "stderr");
  CHECK(f.reader->LastLines("u", 1, 2) == std::vector<std::string>{"err 1", "err \xEF\xBF\xBD 2"});
  CHECK(f.reader->LastLines("u", 1, 4) ==
        std::vector<std::string>{"out 2", "out 3", "err 1", "err \xEF\xBF\xBD 2"});
  CHECK(f.reader->LastLines("u", 1, 1, 3) == std::vector<std::string>{"er\xE2\x80\xA6"});
  CHECK(f.reader->LastLines("u", 2).empty());
  f.Write(2, std::string(1 << 20, 'y'));
  const auto tail = f.reader->LastLines("u", 2);
  REQUIRE(tail.size() == 1);
  CHECK(tail[0].size() == 399 + 3);
}

}  // namespace
}  // namespace appsup::agent
