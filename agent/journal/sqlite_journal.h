#pragma once

#include <memory>
#include <string>

#include "agent/journal/journal.h"

struct sqlite3;
struct sqlite3_stmt;

namespace appsup::agent {

// A journal in one SQLite file (WAL, synchronous=FULL), held exclusively: a second agent on the
// same file is refused. The file is made 0600 if absent.
class SqliteJournal : public Journal {
 public:
  // FAILED_PRECONDITION if another process holds it, or a newer agent wrote it.
  static absl::StatusOr<std::unique_ptr<SqliteJournal>> Open(const std::string& path);
  ~SqliteJournal() override;
  SqliteJournal(const SqliteJournal&) = delete;
  SqliteJournal& operator=(const SqliteJournal&) = delete;

  absl::StatusOr<JournalContents> Load() override;
  absl::Status Write(const std::vector<JournalPut>& rows) override;

  // As if the disk had room for so many pages of 4 KiB.
  void LimitPagesForTest(int pages);

 private:
  SqliteJournal(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}

  absl::Status Prepare();
  absl::Status Migrate();
  absl::Status Execute(const char* sql);
  absl::Status Put(const JournalPut& row);
  absl::Status Error(const std::string& doing) const;

  const std::string path_;
  sqlite3* db_;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
};

}  // namespace appsup::agent
