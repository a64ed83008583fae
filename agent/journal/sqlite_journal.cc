#include "agent/journal/sqlite_journal.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

constexpr int kSchemaVersion = 1;
// Changes are only ever added: version n is reached by running entries up to n.
constexpr const char* kMigrations[kSchemaVersion] = {
    "CREATE TABLE row (tab INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (tab, key)) WITHOUT ROWID;"};

// Readable and writable for the agent's user only: it has the session's secret and apps' settings.
absl::Status MakeFile(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(errno, absl::StrCat("open ", path));
  close(fd);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteJournal>> SqliteJournal::Open(const std::string& path) {
  RETURN_IF_ERROR(MakeFile(path));
  sqlite3* db = nullptr;
  const int rc =
      sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqliteJournal> journal(new SqliteJournal(path, db));
  if (rc != SQLITE_OK) return journal->Error("open");
  RETURN_IF_ERROR(journal->Prepare());
  return journal;
}

SqliteJournal::~SqliteJournal() {
  sqlite3_finalize(put_);
  sqlite3_finalize(erase_);
  sqlite3_close(db_);
}

absl::Status SqliteJournal::Prepare() {
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, 0);
  RETURN_IF_ERROR(Execute("PRAGMA locking_mode=EXCLUSIVE"));
  RETURN_IF_ERROR(Execute("PRAGMA journal_mode=WAL"));
  RETURN_IF_ERROR(Execute("PRAGMA synchronous=FULL"));
  RETURN_IF_ERROR(Execute("PRAGMA wal_autocheckpoint=1000"));
  RETURN_IF_ERROR(Execute("PRAGMA cache_size=-512"));  // KiB: it is written, hardly ever read.
  RETURN_IF_ERROR(Migrate());
  const char* put =
      "INSERT INTO row (tab, key, value) VALUES (?1, ?2, ?3)"
      " ON CONFLICT (tab, key) DO UPDATE SET value = excluded.value";
  const char* erase = "DELETE FROM row WHERE tab = ?1 AND key = ?2";
  if (sqlite3_prepare_v2(db_, put, -1, &put_, nullptr) != SQLITE_OK ||
      sqlite3_prepare_v2(db_, erase, -1, &erase_, nullptr) != SQLITE_OK) {
    return Error("prepare");
  }
  return absl::OkStatus();
}

absl::Status SqliteJournal::Migrate() {
  // Taking the write lock also takes the file for good (locking_mode=EXCLUSIVE).
  RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  int version = 0;
  const auto read = [](void* out, int, char** values, char**) {
    *static_cast<int*>(out) = std::atoi(values[0]);
    return 0;
  };
  if (sqlite3_exec(db_, "PRAGMA user_version", read, &version, nullptr) != SQLITE_OK) {
    return Error("read the version of");
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("journal ", path_, " was written by a newer agent (version ", version,
                     ", this one knows ", kSchemaVersion, "): install the newer agent again"));
  }
  for (int next = version; next < kSchemaVersion; ++next) {
    RETURN_IF_ERROR(Execute(kMigrations[next]));
  }
  RETURN_IF_ERROR(Execute(absl::StrCat("PRAGMA user_version=", kSchemaVersion).c_str()));
  return Execute("COMMIT");
}

absl::StatusOr<JournalContents> SqliteJournal::Load() {
  JournalContents contents;
  std::map<JournalTable, std::map<std::string, std::string>*> tables = {
      {JournalTable::kNode, &contents.node},
      {JournalTable::kInstance, &contents.instances},
      {JournalTable::kPort, &contents.ports}};
  sqlite3_stmt* select = nullptr;
  if (sqlite3_prepare_v2(db_, "SELECT tab, key, value FROM row", -1, &select, nullptr) !=
      SQLITE_OK) {
    return Error("read");
  }
  int rc;
  while ((rc = sqlite3_step(select)) == SQLITE_ROW) {
    const auto table = tables.find(static_cast<JournalTable>(sqlite3_column_int(select, 0)));
    if (table == tables.end()) continue;
    const auto text = [&](int column) {
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(select, column));
      return std::string(bytes == nullptr ? "" : bytes, sqlite3_column_bytes(select, column));
    };
    (*table->second)[text(1)] = text(2);
  }
  sqlite3_finalize(select);
  if (rc != SQLITE_DONE) return Error("read");
  return contents;
}

absl::Status SqliteJournal::Write(const std::vector<JournalPut>& rows) {
  RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  absl::Status status;
  for (const JournalPut& row : rows) {
    status = Put(row);
    if (!status.ok()) break;
  }
  if (status.ok()) status = Execute("COMMIT");
  if (!status.ok() && sqlite3_get_autocommit(db_) == 0) {
    if (absl::Status undo = Execute("ROLLBACK"); !undo.ok()) {
      return absl::InternalError(
          absl::StrCat(std::string(status.message()), "; ", std::string(undo.message())));
    }
  }
  return status;
}

void SqliteJournal::LimitPagesForTest(int pages) {
  IgnoreError(Execute(absl::StrCat("PRAGMA max_page_count=", pages).c_str()), "only in tests");
}

absl::Status SqliteJournal::Put(const JournalPut& row) {
  sqlite3_stmt* statement = row.value ? put_ : erase_;
  sqlite3_bind_int(statement, 1, static_cast<int>(row.table));
  sqlite3_bind_text(statement, 2, row.key.data(), static_cast<int>(row.key.size()), SQLITE_STATIC);
  if (row.value) {
    sqlite3_bind_blob64(statement, 3, row.value->data(), row.value->size(), SQLITE_STATIC);
  }
  const int rc = sqlite3_step(statement);
  absl::Status status = rc == SQLITE_DONE ? absl::OkStatus() : Error("write to");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

absl::Status SqliteJournal::Execute(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return absl::OkStatus();
  return Error(absl::StrCat("run '", sql, "' on"));
}

absl::Status SqliteJournal::Error(const std::string& doing) const {
  const int code = sqlite3_extended_errcode(db_);
  const std::string text =
      absl::StrCat("cannot ", doing, " journal ", path_, ": ", sqlite3_errmsg(db_));
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(
          absl::StrCat(text, "; another agent works with this folder"));
    case SQLITE_NOMEM:
      return absl::UnavailableError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(
          absl::StrCat(text, "; move the file away to begin anew: running apps are found again"));
    default:
      return absl::InternalError(text);
  }
}

}  // namespace appsup::agent
