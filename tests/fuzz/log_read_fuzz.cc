// What is read of apps' logs: names and contents of the files, the time index, offsets asked for.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "agent/log/log_index.h"
#include "agent/log/log_reader.h"
#include "tests/fuzz/steps.h"
#include "tests/support/drive_loop.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::LogChunk;
using appsupervisor::v1::ReadLog;
using fuzz::Expect;
using fuzz::Step;

// A file is its name, a line end, its content. kIndexed: the reader itself writes an index.
enum Kind : uint8_t { kFile, kRead, kTail, kIndexed, kSweep };

const google::protobuf::Message* TypeOf(uint8_t kind) {
  static const ReadLog read;
  return kind == kRead ? &read : nullptr;
}

class World {
 public:
  World() {
    std::filesystem::remove_all(Root().path() / "u1");
    std::filesystem::create_directory(Root().path() / "u1");
    LogFolderOptions options;
    options.log_dir = Root().path();
    options.max_attempts = 4;
    options.max_instance_bytes = 64 << 10;
    auto made = LogReader::Create(Loop(), clock_, options);
    Expect(made.status(), "a reader is made");
    reader_ = *std::move(made);
  }

  void Do(const Step& step) {
    switch (step.kind) {
      case kFile:
        WriteFile(step.body);
        break;
      case kRead:
        if (auto read = fuzz::Parse<ReadLog>(step)) Read(*std::move(read));
        break;
      case kTail:
        for (const std::string& line : reader_->LastLines("u1", fuzz::Number(step) % 8)) {
          Expect(line.size() <= 400 * 4, "a line of a tail is bounded");
        }
        break;
      case kIndexed:
        reader_->AttemptStarted("u1", fuzz::Number(step) % 8);
        reader_->AttemptEnded("u1", fuzz::Number(step) % 8);
        break;
      case kSweep:
        reader_->Sweep({});
        break;
      default:
        break;
    }
  }

 private:
  static const testing::TempDir& Root() {
    static const auto& root = *new testing::TempDir;
    return root;
  }
  static EventLoop& Loop() {
    static EventLoop& loop = *EventLoop::Create()->release();
    return loop;
  }

  static void WriteFile(const std::string& body) {
    const size_t end = std::min(body.find('\n'), body.size());
    const std::string name = body.substr(0, end);
    if (name.empty() || name.size() > 60 || name == "." || name == ".." ||
        name.find_first_of(std::string("/\0", 2)) != name.npos) {
      return;
    }
    std::ofstream(Root().path() / "u1" / name, std::ios::binary)
        << (end < body.size() ? body.substr(end + 1) : "");
  }

  // From the answer on, as a follower does: it gets on, or is at the end.
  void Read(ReadLog read) {
    read.clear_wait();
    for (int rounds = 0; rounds < 8; ++rounds) {
      std::optional<absl::StatusOr<LogChunk>> answer;
      reader_->Read(read, [&](absl::StatusOr<LogChunk> chunk) { answer = std::move(chunk); });
      Expect(testing::DriveUntil(Loop(), [&] { return answer.has_value(); }), "a read is answered");
      if (!answer->ok()) return;
      const LogChunk& chunk = **answer;
      Expect(chunk.data().size() <= size_t{LogReader::kMaxChunkBytes}, "a chunk is bounded");
      Expect(chunk.offset() >= 0 && chunk.skipped() >= 0, "offsets are not below 0");
      Expect(chunk.next_offset() == chunk.offset() + static_cast<int64_t>(chunk.data().size()),
             "the next offset follows");
      if (chunk.at_end()) return;
      const bool same = read.attempt() == chunk.next_attempt() && read.lines() == 0 &&
                        !read.has_since() && read.offset() == chunk.next_offset();
      Expect(!same, "who is not at the end gets on");
      read.clear_lines();
      read.clear_since();
      read.set_attempt(chunk.next_attempt());
      read.set_offset(chunk.next_offset());
    }
  }

  SystemClock clock_;
  std::unique_ptr<LogReader> reader_;
};

}  // namespace
}  // namespace appsup::agent

APPSUP_MUTATE_STEPS(appsup::agent::TypeOf)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  appsup::agent::World world;
  for (const appsup::fuzz::Step& step : appsup::fuzz::ReadSteps(data, size)) world.Do(step);
  return 0;
}
