#include "agent/journal/journal_writer.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <vector>

#include "tests/fake/memory_journal.h"
#include "tests/support/wait.h"

namespace appsup::agent {
namespace {

using testing::WaitFor;

WriteJournal Write(uint64_t index, const std::string& key, const std::string& value) {
  return {index, {{JournalTable::kPort, key, value}}};
}

struct Fixture {
  JournalWriter::Callbacks Callbacks() {
    return {[this](uint64_t through) { committed = through; },
            [this](const std::string&) { ++stalls; },
            [this](const absl::Status&) { failed = true; }};
  }
  MemoryJournal journal;
  SystemClock clock;
  std::atomic<uint64_t> committed{0};
  std::atomic<int> stalls{0};
  std::atomic<bool> failed{false};
};

TEST_CASE("journal writer: writes are committed in order, and many share a commit") {
  Fixture f;
  {
    JournalWriter writer(f.journal, f.clock, f.Callbacks());
    for (uint64_t i = 1; i <= 1000; ++i) writer.Append(Write(i, "k", std::to_string(i)));
    REQUIRE(WaitFor([&] { return f.committed == 1000; }));
  }
  CHECK(f.journal.Load()->ports.at("k") == "1000");
  CHECK(f.journal.writes <= 1000);
}

TEST_CASE("journal writer: what waits at the end is written") {
  Fixture f;
  {
    JournalWriter writer(f.journal, f.clock, f.Callbacks());
    writer.Append(Write(1, "a", "1"));
  }
  CHECK(f.journal.Load()->ports.size() == 1);
}

TEST_CASE("journal writer: a full disk is told and tried again; newer rows win") {
  Fixture f;
  f.journal.next_errors = {absl::ResourceExhaustedError("full"),
                           absl::ResourceExhaustedError("full")};
  JournalWriter writer(f.journal, f.clock, f.Callbacks(), absl::Milliseconds(20));
  writer.Append(Write(1, "a", "old"));
  REQUIRE(WaitFor([&] { return f.stalls >= 1; }));
  writer.Append(Write(2, "a", "new"));
  REQUIRE(WaitFor([&] { return f.committed == 2; }));
  CHECK(f.stalls == 2);
  CHECK(f.journal.Load()->ports.at("a") == "new");
}

TEST_CASE("journal writer: after an error that tells nothing of the disk it never writes again") {
  Fixture f;
  f.journal.next_errors = {absl::InternalError("fsync: input/output error")};
  {
    JournalWriter writer(f.journal, f.clock, f.Callbacks());
    writer.Append(Write(1, "a", "1"));
    REQUIRE(WaitFor([&] { return f.failed.load(); }));
    writer.Append(Write(2, "a", "2"));
  }
  CHECK(f.journal.writes == 1);
  CHECK(f.committed == 0);
}

}  // namespace
}  // namespace appsup::agent
