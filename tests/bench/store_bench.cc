// Durable writes through the entry's store thread and store, beside the same rows written by the
// database's library alone: each write is one row and one entry of the change log. Ours adds to
// that the check of the leader's epoch, and a hop to the store thread and back.
#include <libpq-fe.h>
#include <sqlite3.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/check.h"
#include "common/metrics.h"
#include "common/mutex.h"
#include "entry/store/store.h"
#include "entry/store_thread.h"
#include "fmt/format.h"
#include "tests/bench/support/report.h"
#include "tests/support/postgres_server.h"
#include "tests/support/temp_dir.h"

namespace appsup::bench {
namespace {

constexpr int kRounds = 7;
constexpr double kSeconds = 1.5;  // Of each side in each round.
constexpr int kKeys = 1000;

std::string Key(int64_t number) {
  return fmt::format("projects/default/apps/app-{}/instances/i-0", number % kKeys);
}
const std::string kRow(400, 'r');    // About what an instance takes.
const std::string kEvent(500, 'e');  // And an event about it.

// Writes one row and one change per write, `callers` at a time in one transaction.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void Write(int callers) = 0;
};

double Rate(Writer& writer, int callers) {
  const double begin = Now();
  int64_t writes = 0;
  while (Now() - begin < kSeconds) {
    writer.Write(callers);
    writes += callers;
  }
  return static_cast<double>(writes) / (Now() - begin);
}

class OurWriter : public Writer {
 public:
  explicit OurWriter(std::unique_ptr<entry::Store> store) {
    entry::StoreThread::Answers answers;
    answers.led = [this](uint64_t, absl::StatusOr<entry::Store::Leadership> leadership) {
      APPSUP_CHECK(leadership.ok(), leadership.status().ToString());
      MutexLock lock(&mutex_);
      led_ = true;
      changed_.SignalAll();
    };
    answers.committed = [this](uint64_t, int64_t index) {
      MutexLock lock(&mutex_);
      durable_ = index;
      changed_.SignalAll();
    };
    answers.failed = [](uint64_t, const absl::Status& status) {
      APPSUP_CHECK(status.ok(), status.ToString());
    };
    answers.changes_read = [](entry::ChangesRead) {};
    auto thread = entry::StoreThread::Start(std::move(store), "bench", metrics_, answers);
    APPSUP_CHECK(thread.ok(), thread.status().ToString());
    thread_ = std::move(*thread);
    thread_->Lead(1, absl::ZeroDuration());
    MutexLock lock(&mutex_);
    while (!led_) changed_.Wait(&mutex_);
  }

  // What callers ask for at once is one flush of the core, and so one transaction.
  void Write(int callers) override {
    entry::Transaction transaction;
    transaction.first_index = given_ + 1;
    for (int i = 0; i < callers; ++i) {
      transaction.rows.push_back({"instance", Key(++given_), kRow});
      transaction.changes.push_back({given_, kEvent});
    }
    transaction.last_index = given_;
    thread_->Commit(1, std::move(transaction));
    MutexLock lock(&mutex_);
    while (durable_ < given_) changed_.Wait(&mutex_);
  }

 private:
  Metrics metrics_;
  int64_t given_ = 0;
  Mutex mutex_;
  CondVar changed_;
  bool led_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t durable_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<entry::StoreThread> thread_;
};

class BareSqlite : public Writer {
 public:
  explicit BareSqlite(const std::string& path) {
    APPSUP_CHECK(sqlite3_open_v2(path.c_str(), &database_,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                 nullptr) == SQLITE_OK);
    Execute("PRAGMA locking_mode = EXCLUSIVE");
    Execute("PRAGMA journal_mode = WAL");
    Execute("PRAGMA synchronous = FULL");
    Execute(
        "CREATE TABLE row (tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, "
        "PRIMARY KEY (tbl, key)) WITHOUT ROWID");
    Execute("CREATE TABLE change (idx INTEGER PRIMARY KEY, event BLOB NOT NULL)");
    begin_ = Prepare("BEGIN IMMEDIATE");
    commit_ = Prepare("COMMIT");
    upsert_ = Prepare("INSERT OR REPLACE INTO row VALUES ('instance', ?1, ?2)");
    append_ = Prepare("INSERT INTO change VALUES (?1, ?2)");
  }
  ~BareSqlite() override {
    for (sqlite3_stmt* statement : {begin_, commit_, upsert_, append_}) sqlite3_finalize(statement);
    sqlite3_close_v2(database_);
  }

  void Write(int callers) override {
    Run(begin_);
    for (int i = 0; i < callers; ++i) {
      const std::string key = Key(++index_);
      sqlite3_bind_text64(upsert_, 1, key.data(), key.size(), SQLITE_STATIC, SQLITE_UTF8);
      sqlite3_bind_blob64(upsert_, 2, kRow.data(), kRow.size(), SQLITE_STATIC);
      Run(upsert_);
      sqlite3_bind_int64(append_, 1, index_);
      sqlite3_bind_blob64(append_, 2, kEvent.data(), kEvent.size(), SQLITE_STATIC);
      Run(append_);
    }
    Run(commit_);
  }

 private:
  void Execute(const char* sql) {
    APPSUP_CHECK(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK,
                 sqlite3_errmsg(database_));
  }
  sqlite3_stmt* Prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    APPSUP_CHECK(sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) == SQLITE_OK,
                 sqlite3_errmsg(database_));
    return statement;
  }
  void Run(sqlite3_stmt* statement) {
    APPSUP_CHECK(sqlite3_step(statement) == SQLITE_DONE, sqlite3_errmsg(database_));
    sqlite3_reset(statement);
  }

  sqlite3* database_ = nullptr;
  sqlite3_stmt* begin_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
  sqlite3_stmt* upsert_ = nullptr;
  sqlite3_stmt* append_ = nullptr;
  int64_t index_ = 0;
};

// In the quickest way that libpq has: a pipeline up to one Sync is one transaction and round trip.
class BarePostgres : public Writer {
 public:
  explicit BarePostgres(const std::string& conninfo)
      : connection_(PQconnectdb(conninfo.c_str()), PQfinish) {
    APPSUP_CHECK(PQstatus(connection_.get()) == CONNECTION_OK, PQerrorMessage(connection_.get()));
    Done(PQexec(connection_.get(),
                "CREATE TABLE row (tbl text NOT NULL, key text NOT NULL, value bytea NOT NULL, "
                "PRIMARY KEY (tbl, key)); "
                "CREATE TABLE change (idx bigint PRIMARY KEY, event bytea NOT NULL)"));
    Done(PQprepare(connection_.get(), "upsert",
                   "INSERT INTO row VALUES ('instance', $1, $2) "
                   "ON CONFLICT (tbl, key) DO UPDATE SET value = excluded.value",
                   0, nullptr));
    Done(PQprepare(connection_.get(), "append", "INSERT INTO change VALUES ($1, $2)", 0, nullptr));
  }

  void Write(int callers) override {
    APPSUP_CHECK(PQenterPipelineMode(connection_.get()) == 1);
    for (int i = 0; i < callers; ++i) {
      Send("upsert", Key(++index_), kRow);
      const uint64_t swapped = __builtin_bswap64(static_cast<uint64_t>(index_));
      Send("append", std::string(reinterpret_cast<const char*>(&swapped), sizeof swapped), kEvent);
    }
    APPSUP_CHECK(PQpipelineSync(connection_.get()) == 1);
    while (true) {
      PGresult* result = PQgetResult(connection_.get());
      if (result == nullptr) continue;  // Between two statements.
      const bool end = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
      if (end) PQclear(result);
      if (end) break;
      Done(result);
    }
    APPSUP_CHECK(PQexitPipelineMode(connection_.get()) == 1);
  }

 private:
  void Done(PGresult* result) {
    APPSUP_CHECK(PQresultStatus(result) == PGRES_COMMAND_OK, PQerrorMessage(connection_.get()));
    PQclear(result);
  }
  void Send(const char* name, const std::string& first, const std::string& second) {
    const char* values[] = {first.data(), second.data()};
    const int lengths[] = {static_cast<int>(first.size()), static_cast<int>(second.size())};
    const int formats[] = {1, 1};
    APPSUP_CHECK(PQsendQueryPrepared(connection_.get(), name, 2, values, lengths, formats, 1) == 1,
                 PQerrorMessage(connection_.get()));
  }

  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
  int64_t index_ = 0;
};

void Measure(const std::string& database, Writer& ours, Writer& bare) {
  for (int callers : {1, 64}) {
    Comparison comparison{fmt::format("store/{}-{}", database, callers), "writes/s", {}, {}};
    ours.Write(callers);
    bare.Write(callers);
    for (int round = 0; round < kRounds; ++round) {
      comparison.ours.push_back(Rate(ours, callers));
      comparison.bare.push_back(Rate(bare, callers));
    }
    Print(comparison);
  }
}

void MeasureSqlite() {
  testing::TempDir dir;
  auto store = entry::OpenSqliteStore(dir.File("catalog.db"));
  APPSUP_CHECK(store.ok(), store.status().ToString());
  OurWriter ours(std::move(*store));
  BareSqlite bare(dir.File("bare.db"));
  Measure("sqlite", ours, bare);
}

void MeasurePostgres() {
  testing::PostgresServer server(testing::PostgresServer::Sync::kOn);
  OurWriter ours(entry::MakePostgresStore(server.NewDatabase()));
  BarePostgres bare(server.NewDatabase());
  Measure("postgres", ours, bare);
}

}  // namespace
}  // namespace appsup::bench

int main() {
  appsup::bench::MeasureSqlite();
  appsup::bench::MeasurePostgres();
  return 0;
}
