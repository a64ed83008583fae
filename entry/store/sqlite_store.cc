#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"
#include "entry/store/batch.h"
#include "entry/store/store.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr int kSchemaVersion = 1;

// Version 1. `head` is the index of the last committed transaction.
constexpr char kSchema[] = R"sql(
  CREATE TABLE leader (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL, holder TEXT NOT NULL, head INTEGER NOT NULL, trimmed INTEGER NOT NULL);
  INSERT INTO leader VALUES (1, 0, '', 0, 0);
  CREATE TABLE row (tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
                    PRIMARY KEY (tbl, key)) WITHOUT ROWID;
  CREATE TABLE change (idx INTEGER PRIMARY KEY, event BLOB NOT NULL);
)sql";

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using DatabasePtr = std::unique_ptr<sqlite3, CloseDatabase>;
using StatementPtr = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

absl::Status SqliteError(sqlite3* database, std::string_view what) {
  const int code = sqlite3_extended_errcode(database);
  std::string text =
      fmt::format("catalog: {}: {} (SQLite {})", what, sqlite3_errmsg(database), code);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text + "; free some space on the disk");
    case SQLITE_BUSY:
      return absl::UnavailableError(text + "; is another entry running on this file?");
    case SQLITE_IOERR:  // A failed fsync among them: what is on the disk is unknown.
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(text);
    default:
      return absl::UnknownError(text);
  }
}

class SqliteStore : public Store {
 public:
  explicit SqliteStore(DatabasePtr database) : database_(std::move(database)) {}

  absl::Status Open() {
    RETURN_IF_ERROR(Execute("PRAGMA locking_mode = EXCLUSIVE"));
    RETURN_IF_ERROR(Execute("PRAGMA journal_mode = WAL"));
    RETURN_IF_ERROR(Execute("PRAGMA synchronous = FULL"));
    RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));  // Takes the lock, or says who has it.
    absl::Status migrated = Migrate();
    if (!migrated.ok()) {
      IgnoreError(Execute("ROLLBACK"), "the migration's own error matters");
      return migrated;
    }
    return Execute("COMMIT");
  }

  absl::StatusOr<Leadership> Lead(const std::string& holder) override {
    Reset();
    ASSIGN_OR_RETURN(StatementPtr lead,
                     Prepare("UPDATE leader SET epoch = epoch + 1, holder = ?1"));
    sqlite3_bind_text(lead.get(), 1, holder.data(), static_cast<int>(holder.size()), SQLITE_STATIC);
    RETURN_IF_ERROR(Step(lead.get(), SQLITE_DONE, "take the leadership"));

    Leadership leadership;
    ASSIGN_OR_RETURN(StatementPtr leader, Prepare("SELECT epoch, head, trimmed FROM leader"));
    RETURN_IF_ERROR(Step(leader.get(), SQLITE_ROW, "read the leader row"));
    leadership.epoch = epoch_ = sqlite3_column_int64(leader.get(), 0);
    leadership.rows.last_index = head_ = sqlite3_column_int64(leader.get(), 1);
    trimmed_ = sqlite3_column_int64(leader.get(), 2);

    ASSIGN_OR_RETURN(StatementPtr rows, Prepare("SELECT tbl, key, value FROM row"));
    int step;
    while ((step = sqlite3_step(rows.get())) == SQLITE_ROW) {
      leadership.rows.rows.push_back(
          {Column(rows.get(), 0), Column(rows.get(), 1), Column(rows.get(), 2)});
    }
    if (step != SQLITE_DONE) return SqliteError(database_.get(), "read the rows");
    return leadership;
  }

  absl::Status Commit(const std::vector<Transaction>& transactions) override {
    ASSIGN_OR_RETURN(const Batch batch, MakeBatch(transactions, head_));
    RETURN_IF_ERROR(PrepareAll());
    RETURN_IF_ERROR(Run(begin_.get(), "begin"));
    absl::Status written = Write(batch);
    if (written.ok()) written = Run(commit_.get(), "commit");
    if (!written.ok()) {
      IgnoreError(Execute("ROLLBACK"), "SQLite may have rolled back by itself");
      return written;
    }
    head_ = batch.head;
    if (batch.trim_before > trimmed_) trimmed_ = batch.trim_before;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<ChangeEntry>> ReadChanges(int64_t after_index, int limit) override {
    if (after_index + 1 < trimmed_) {
      return absl::OutOfRangeError(
          fmt::format("the change log begins at index {}; entries after {} were asked for",
                      trimmed_, after_index));
    }
    ASSIGN_OR_RETURN(StatementPtr select,
                     Prepare("SELECT idx, event FROM change WHERE idx > ?1 ORDER BY idx LIMIT ?2"));
    sqlite3_bind_int64(select.get(), 1, after_index);
    sqlite3_bind_int(select.get(), 2, limit);
    std::vector<ChangeEntry> entries;
    int step;
    while ((step = sqlite3_step(select.get())) == SQLITE_ROW) {
      entries.push_back({sqlite3_column_int64(select.get(), 0), Column(select.get(), 1)});
    }
    if (step != SQLITE_DONE) return SqliteError(database_.get(), "read the change log");
    return entries;
  }

 private:
  absl::Status Migrate() {
    ASSIGN_OR_RETURN(StatementPtr version, Prepare("PRAGMA user_version"));
    RETURN_IF_ERROR(Step(version.get(), SQLITE_ROW, "read the schema version"));
    const int found = sqlite3_column_int(version.get(), 0);
    if (found > kSchemaVersion) {
      return absl::FailedPreconditionError(fmt::format(
          "catalog: schema version {} is newer than this program's {}; install a newer program",
          found, kSchemaVersion));
    }
    if (found == kSchemaVersion) return absl::OkStatus();
    RETURN_IF_ERROR(Execute(kSchema));
    return Execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  }

  absl::Status Write(const Batch& batch) {
    sqlite3_bind_int64(claim_.get(), 1, batch.head);
    sqlite3_bind_int64(claim_.get(), 2, batch.trim_before);
    sqlite3_bind_int64(claim_.get(), 3, epoch_);
    RETURN_IF_ERROR(Run(claim_.get(), "claim the epoch"));
    if (sqlite3_changes(database_.get()) != 1) {
      return absl::FailedPreconditionError(
          fmt::format("catalog: epoch {} is over: another entry leads now", epoch_));
    }
    for (const auto& [key, value] : batch.rows) {
      sqlite3_stmt* statement = value->has_value() ? upsert_.get() : delete_.get();
      Bind(statement, 1, key.first, /*blob=*/false);
      Bind(statement, 2, key.second, /*blob=*/false);
      if (value->has_value()) Bind(statement, 3, **value, /*blob=*/true);
      RETURN_IF_ERROR(Run(statement, "write a row"));
    }
    for (const ChangeEntry* change : batch.changes) {
      sqlite3_bind_int64(append_.get(), 1, change->index);
      Bind(append_.get(), 2, change->event, /*blob=*/true);
      RETURN_IF_ERROR(Run(append_.get(), "append to the change log"));
    }
    if (batch.trim_before > trimmed_) {
      sqlite3_bind_int64(trim_.get(), 1, batch.trim_before);
      RETURN_IF_ERROR(Run(trim_.get(), "trim the change log"));
    }
    return absl::OkStatus();
  }

  absl::Status PrepareAll() {
    if (append_ != nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(begin_, Prepare("BEGIN IMMEDIATE"));
    ASSIGN_OR_RETURN(commit_, Prepare("COMMIT"));
    ASSIGN_OR_RETURN(claim_, Prepare("UPDATE leader SET head = ?1, trimmed = max(trimmed, ?2) "
                                     "WHERE epoch = ?3"));
    ASSIGN_OR_RETURN(upsert_, Prepare("INSERT OR REPLACE INTO row VALUES (?1, ?2, ?3)"));
    ASSIGN_OR_RETURN(delete_, Prepare("DELETE FROM row WHERE tbl = ?1 AND key = ?2"));
    ASSIGN_OR_RETURN(trim_, Prepare("DELETE FROM change WHERE idx < ?1"));
    ASSIGN_OR_RETURN(append_, Prepare("INSERT INTO change VALUES (?1, ?2)"));
    return absl::OkStatus();
  }

  // Ends whatever an earlier failure left open.
  void Reset() {
    if (sqlite3_get_autocommit(database_.get()) == 0) {
      IgnoreError(Execute("ROLLBACK"), "there may be nothing to roll back");
    }
  }

  absl::Status Execute(const std::string& sql) {
    if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      return SqliteError(database_.get(), sql.substr(0, 40));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<StatementPtr> Prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
      return SqliteError(database_.get(), sql);
    }
    return StatementPtr(statement);
  }

  absl::Status Step(sqlite3_stmt* statement, int expected, std::string_view what) {
    if (sqlite3_step(statement) != expected) return SqliteError(database_.get(), what);
    return absl::OkStatus();
  }

  // Runs a statement without result and makes it ready for the next time.
  absl::Status Run(sqlite3_stmt* statement, std::string_view what) {
    const int step = sqlite3_step(statement);
    absl::Status status =
        step == SQLITE_DONE ? absl::OkStatus() : SqliteError(database_.get(), what);
    sqlite3_reset(statement);
    return status;
  }

  static void Bind(sqlite3_stmt* statement, int position, const std::string& value, bool blob) {
    if (blob) {
      sqlite3_bind_blob64(statement, position, value.data(), value.size(), SQLITE_STATIC);
    } else {
      sqlite3_bind_text64(statement, position, value.data(), value.size(), SQLITE_STATIC,
                          SQLITE_UTF8);
    }
  }

  static std::string Column(sqlite3_stmt* statement, int column) {
    const void* data = sqlite3_column_blob(statement, column);
    return std::string(static_cast<const char*>(data),
                       static_cast<size_t>(sqlite3_column_bytes(statement, column)));
  }

  DatabasePtr database_;  // Before the statements: it has to outlive them.
  StatementPtr begin_, commit_, claim_, upsert_, delete_, trim_, append_;
  int64_t epoch_ = 0;
  int64_t head_ = 0;
  int64_t trimmed_ = 0;  // Entries below this index are gone.
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path) {
  // Made here because SQLite would make it with the umask's mode, and the -wal takes the same.
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(errno, fmt::format("open the catalog {}", path));
  close(fd);
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  DatabasePtr database(opened);
  if (code != SQLITE_OK) return SqliteError(opened, fmt::format("open {}", path));
  auto store = std::make_unique<SqliteStore>(std::move(database));
  RETURN_IF_ERROR(Annotate(store->Open(), path));
  return store;
}

}  // namespace appsup::entry
