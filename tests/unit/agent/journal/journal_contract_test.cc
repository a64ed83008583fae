// What holds for every kind of journal.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <functional>
#include <memory>

#include "agent/journal/sqlite_journal.h"
#include "tests/fake/memory_journal.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

using testing::TempDir;

JournalPut Put(JournalTable table, const std::string& key, const std::string& value) {
  return {table, key, value};
}

JournalPut Erase(JournalTable table, const std::string& key) { return {table, key, std::nullopt}; }

// A journal that can be opened anew, as after a crash.
struct Kind {
  std::string name;
  bool durable;
  std::function<std::unique_ptr<Journal>(const std::string& dir)> open;
};

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = {
      {"memory", false, [](const std::string&) { return std::make_unique<MemoryJournal>(); }},
      {"sqlite", true,
       [](const std::string& dir) -> std::unique_ptr<Journal> {
         auto journal = SqliteJournal::Open(dir + "journal.db");
         REQUIRE(journal.ok());
         return *std::move(journal);
       }},
  };
  return kinds;
}

TEST_CASE("journal: what was written is there, by table and key") {
  for (const Kind& kind : Kinds()) {
    INFO(kind.name);
    TempDir dir;
    auto journal = kind.open(dir.File(""));
    CHECK(journal->Load()->instances.empty());
    const std::string binary("a\0b\xff", 4);
    REQUIRE(
        journal
            ->Write({Put(JournalTable::kNode, "node", "n"),
                     Put(JournalTable::kInstance, "i1", binary),
                     Put(JournalTable::kInstance, "i2", ""), Put(JournalTable::kPort, "i1", "p")})
            .ok());
    if (kind.durable) {
      journal.reset();
      journal = kind.open(dir.File(""));
    }
    const auto contents = journal->Load();
    REQUIRE(contents.ok());
    CHECK(contents->node == std::map<std::string, std::string>{{"node", "n"}});
    CHECK(contents->instances == std::map<std::string, std::string>{{"i1", binary}, {"i2", ""}});
    CHECK(contents->ports == std::map<std::string, std::string>{{"i1", "p"}});
  }
}

TEST_CASE("journal: the last of one key wins, and erased is erased") {
  for (const Kind& kind : Kinds()) {
    INFO(kind.name);
    TempDir dir;
    auto journal = kind.open(dir.File(""));
    REQUIRE(journal
                ->Write({Put(JournalTable::kPort, "a", "1"), Put(JournalTable::kPort, "a", "2"),
                         Put(JournalTable::kPort, "b", "1"), Erase(JournalTable::kPort, "b"),
                         Erase(JournalTable::kPort, "never")})
                .ok());
    CHECK(journal->Load()->ports == std::map<std::string, std::string>{{"a", "2"}});
    REQUIRE(journal->Write({Erase(JournalTable::kPort, "a")}).ok());
    CHECK(journal->Load()->ports.empty());
  }
}

TEST_CASE("sqlite journal: a second agent on the same file is refused with a sentence") {
  TempDir dir;
  auto first = SqliteJournal::Open(dir.File("journal.db"));
  REQUIRE(first.ok());
  const auto second = SqliteJournal::Open(dir.File("journal.db"));
  REQUIRE(absl::IsFailedPrecondition(second.status()));
  CHECK(second.status().ToString().find("another agent works with this folder") !=
        std::string::npos);
}

TEST_CASE("sqlite journal: a file that is none is told, not overwritten") {
  TempDir dir;
  const std::string path = dir.File("journal.db");
  const std::string rubbish(5000, 'x');
  FILE* file = fopen(path.c_str(), "w");
  REQUIRE(file != nullptr);
  fwrite(rubbish.data(), 1, rubbish.size(), file);
  fclose(file);
  CHECK(absl::IsDataLoss(SqliteJournal::Open(path).status()));
}

TEST_CASE("sqlite journal: only the agent's user may read it") {
  TempDir dir;
  auto journal = SqliteJournal::Open(dir.File("journal.db"));
  REQUIRE(journal.ok());
  struct stat info;
  REQUIRE(stat(dir.File("journal.db").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("sqlite journal: a full disk changes nothing and may be tried again") {
  TempDir dir;
  auto journal = SqliteJournal::Open(dir.File("journal.db"));
  REQUIRE(journal.ok());
  REQUIRE((*journal)->Write({Put(JournalTable::kPort, "a", "1")}).ok());
  (*journal)->LimitPagesForTest(20);
  const std::string large(200'000, 'x');
  const absl::Status full = (*journal)->Write(
      {Put(JournalTable::kPort, "b", "1"), Put(JournalTable::kInstance, "c", large)});
  CHECK(absl::IsResourceExhausted(full));
  CHECK((*journal)->Load()->ports == std::map<std::string, std::string>{{"a", "1"}});
  (*journal)->LimitPagesForTest(100'000);
  CHECK((*journal)->Write({Put(JournalTable::kInstance, "c", large)}).ok());
  CHECK((*journal)->Load()->instances.size() == 1);
}

}  // namespace
}  // namespace appsup::agent
