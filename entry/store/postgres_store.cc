#include <libpq-fe.h>

#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"
#include "entry/store/batch.h"
#include "entry/store/postgres_parameters.h"
#include "entry/store/store.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr int kSchemaVersion = 1;

// Held by the session of the entry that leads: "appsup" in ASCII. Only a hint that makes a second
// entry on the same database say so; the epoch is what protects the catalog. The wait is for the
// server to notice that an entry's earlier connection is gone.
constexpr char kLock[] = "SELECT pg_advisory_lock(x'617070737570'::bigint)";
constexpr char kLockWait[] = "SET lock_timeout = '2s'";
constexpr std::string_view kLockNotAvailable = "55P03";

constexpr char kSchema[] = R"sql(
  CREATE SCHEMA IF NOT EXISTS appsup;
  CREATE TABLE appsup.leader (
    id int PRIMARY KEY CHECK (id = 1), schema_version int NOT NULL,
    epoch bigint NOT NULL, holder text NOT NULL, head bigint NOT NULL, trimmed bigint NOT NULL);
  INSERT INTO appsup.leader VALUES (1, 1, 0, '', 0, 0);
  CREATE TABLE appsup.row (tbl text NOT NULL, key text NOT NULL, value bytea NOT NULL,
                           PRIMARY KEY (tbl, key));
  CREATE TABLE appsup.change (idx bigint PRIMARY KEY, event bytea NOT NULL);
  CREATE FUNCTION appsup.claim(p_head bigint, p_trimmed bigint, p_epoch bigint) RETURNS void AS $$
  BEGIN
    UPDATE appsup.leader SET head = p_head, trimmed = greatest(trimmed, p_trimmed)
      WHERE epoch = p_epoch;
    IF NOT FOUND THEN RAISE EXCEPTION 'deposed' USING ERRCODE = 'AS001'; END IF;
  END $$ LANGUAGE plpgsql;
)sql";

// Raised by appsup.claim.
constexpr std::string_view kDeposed = "AS001";

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ConnectionPtr = std::unique_ptr<PGconn, FinishConnection>;
using ResultPtr = std::unique_ptr<PGresult, ClearResult>;

std::string BigEndian(int64_t value) {
  const uint64_t swapped = __builtin_bswap64(static_cast<uint64_t>(value));
  static_assert(std::endian::native == std::endian::little);
  return std::string(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

int64_t Int64At(const PGresult* result, int row, int column) {
  uint64_t raw;
  std::memcpy(&raw, PQgetvalue(result, row, column), sizeof(raw));
  return static_cast<int64_t>(__builtin_bswap64(raw));
}

std::string BytesAt(const PGresult* result, int row, int column) {
  return std::string(PQgetvalue(result, row, column),
                     static_cast<size_t>(PQgetlength(result, row, column)));
}

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

class PostgresStore : public Store {
 public:
  explicit PostgresStore(std::string conninfo) : conninfo_(std::move(conninfo)) {}

  absl::StatusOr<Leadership> Lead(const std::string& holder) override {
    RETURN_IF_ERROR(Connect());
    RETURN_IF_ERROR(Lock());
    RETURN_IF_ERROR(Migrate());
    RETURN_IF_ERROR(PrepareAll());
    return TakeAndRead(holder);
  }

  absl::Status Commit(const std::vector<Transaction>& transactions) override {
    if (connection_ == nullptr) return absl::UnavailableError("catalog: not connected");
    ASSIGN_OR_RETURN(const Batch batch, MakeBatch(transactions, head_));
    // One pipeline up to one Sync is one transaction and one round trip.
    if (PQenterPipelineMode(connection_.get()) != 1) return Error("begin a pipeline");
    absl::Status sent = Send(batch);
    absl::Status done = sent.ok() ? Receive() : sent;
    if (!done.ok()) {
      connection_.reset();  // The outcome may be unknown: only a new connection can tell.
      return done;
    }
    if (PQexitPipelineMode(connection_.get()) != 1) return Error("end a pipeline");
    head_ = batch.head;
    if (batch.trim_before > trimmed_) trimmed_ = batch.trim_before;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<ChangeEntry>> ReadChanges(int64_t after_index, int limit) override {
    if (connection_ == nullptr) return absl::UnavailableError("catalog: not connected");
    if (after_index + 1 < trimmed_) {
      return absl::OutOfRangeError(
          fmt::format("the change log begins at index {}; entries after {} were asked for",
                      trimmed_, after_index));
    }
    ASSIGN_OR_RETURN(
        ResultPtr result,
        Query("SELECT idx, event FROM appsup.change WHERE idx > $1 ORDER BY idx LIMIT $2",
              {BigEndian(after_index), BigEndian(limit)}, {20, 20}));
    std::vector<ChangeEntry> entries;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      entries.push_back({Int64At(result.get(), row, 0), BytesAt(result.get(), row, 1)});
    }
    return entries;
  }

 private:
  absl::Status Connect() {
    ASSIGN_OR_RETURN(const auto parameters, PostgresParameters(conninfo_));
    std::vector<const char*> keywords, values;
    for (const auto& [keyword, value] : parameters) {
      keywords.push_back(keyword.c_str());
      values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    connection_.reset(PQconnectdbParams(keywords.data(), values.data(), 0));
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
      absl::Status status = Error("connect");
      connection_.reset();
      return status;
    }
    RETURN_IF_ERROR(Query("SET client_min_messages = warning"));
    // A frozen entry must not keep a transaction, nor a vanished one its lock, for ever.
    RETURN_IF_ERROR(Query("SET idle_in_transaction_session_timeout = '10s'"));
    RETURN_IF_ERROR(Query("SET tcp_user_timeout = '10s'"));
    return absl::OkStatus();
  }

  absl::Status Lock() {
    RETURN_IF_ERROR(Query(kLockWait));
    ResultPtr locked(PQexec(connection_.get(), kLock));
    const char* state = PQresultErrorField(locked.get(), PG_DIAG_SQLSTATE);
    if (state == nullptr || state != kLockNotAvailable) return Check(locked.get(), "lock");
    std::string holder = "unknown";
    if (auto found = Query("SELECT holder FROM appsup.leader"); found.ok()) {
      holder = BytesAt(found->get(), 0, 0);
    }
    connection_.reset();
    return absl::UnavailableError(
        fmt::format("catalog: another entry ({}) leads it; stop that one first", holder));
  }

  absl::Status Migrate() {
    ASSIGN_OR_RETURN(ResultPtr found, Query("SELECT to_regclass('appsup.leader') IS NOT NULL"));
    if (*PQgetvalue(found.get(), 0, 0) == 0) {
      ResultPtr made(PQexec(connection_.get(), kSchema));  // Several statements: one transaction.
      return Check(made.get(), "make the schema");
    }
    ASSIGN_OR_RETURN(ResultPtr version, Query("SELECT schema_version::bigint FROM appsup.leader"));
    const int64_t number = Int64At(version.get(), 0, 0);
    if (number > kSchemaVersion) {
      return absl::FailedPreconditionError(fmt::format(
          "catalog: schema version {} is newer than this program's {}; install a newer program",
          number, kSchemaVersion));
    }
    return absl::OkStatus();
  }

  absl::Status PrepareAll() {
    RETURN_IF_ERROR(Prepare("claim", "SELECT appsup.claim($1, $2, $3)"));
    RETURN_IF_ERROR(Prepare("upsert",
                            "INSERT INTO appsup.row VALUES ($1, $2, $3) "
                            "ON CONFLICT (tbl, key) DO UPDATE SET value = excluded.value"));
    RETURN_IF_ERROR(Prepare("delete", "DELETE FROM appsup.row WHERE tbl = $1 AND key = $2"));
    RETURN_IF_ERROR(Prepare("append", "INSERT INTO appsup.change VALUES ($1, $2)"));
    return Prepare("trim", "DELETE FROM appsup.change WHERE idx < $1");
  }

  absl::StatusOr<Leadership> TakeAndRead(const std::string& holder) {
    ASSIGN_OR_RETURN(ResultPtr leader,
                     Query("UPDATE appsup.leader SET epoch = epoch + 1, holder = $1 "
                           "RETURNING epoch, head, trimmed",
                           {holder}, {25}));
    Leadership leadership;
    leadership.epoch = epoch_ = Int64At(leader.get(), 0, 0);
    leadership.rows.last_index = head_ = Int64At(leader.get(), 0, 1);
    trimmed_ = Int64At(leader.get(), 0, 2);
    ASSIGN_OR_RETURN(ResultPtr rows, Query("SELECT tbl, key, value FROM appsup.row"));
    leadership.rows.rows.reserve(static_cast<size_t>(PQntuples(rows.get())));
    for (int row = 0; row < PQntuples(rows.get()); ++row) {
      leadership.rows.rows.push_back(
          {BytesAt(rows.get(), row, 0), BytesAt(rows.get(), row, 1), BytesAt(rows.get(), row, 2)});
    }
    return leadership;
  }

  absl::Status Send(const Batch& batch) {
    RETURN_IF_ERROR(
        SendOne("claim", {BigEndian(batch.head), BigEndian(batch.trim_before), BigEndian(epoch_)}));
    for (const auto& [key, value] : batch.rows) {
      if (value->has_value()) {
        RETURN_IF_ERROR(SendOne("upsert", {key.first, key.second, **value}));
      } else {
        RETURN_IF_ERROR(SendOne("delete", {key.first, key.second}));
      }
    }
    for (const ChangeEntry* change : batch.changes) {
      RETURN_IF_ERROR(SendOne("append", {BigEndian(change->index), change->event}));
    }
    if (batch.trim_before > trimmed_) {
      RETURN_IF_ERROR(SendOne("trim", {BigEndian(batch.trim_before)}));
    }
    if (PQpipelineSync(connection_.get()) != 1) return Error("send a commit");
    return absl::OkStatus();
  }

  // Reads all results up to the Sync; the first error decides.
  absl::Status Receive() {
    absl::Status first;
    bool between = false;
    while (true) {
      ResultPtr result(PQgetResult(connection_.get()));
      if (result == nullptr) {
        // One null stands between the results of two statements. A second one: nothing more comes,
        // though the Sync was not answered; libpq can still call such a connection OK.
        if (between || PQstatus(connection_.get()) != CONNECTION_OK) {
          return first.ok() ? Error("commit") : first;
        }
        between = true;
        continue;
      }
      between = false;
      const ExecStatusType status = PQresultStatus(result.get());
      if (status == PGRES_PIPELINE_SYNC) return first;
      if (first.ok()) first = Check(result.get(), "commit");
    }
  }

  absl::Status SendOne(const char* name, const std::vector<std::string>& values) {
    std::array<const char*, 3> data{};
    std::array<int, 3> lengths{};
    std::array<int, 3> formats{1, 1, 1};
    for (size_t i = 0; i < values.size(); ++i) {
      data[i] = values[i].data();
      lengths[i] = static_cast<int>(values[i].size());
    }
    if (PQsendQueryPrepared(connection_.get(), name, static_cast<int>(values.size()), data.data(),
                            lengths.data(), formats.data(), 1) != 1) {
      return Error("send a statement");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ResultPtr> Query(const char* sql, const std::vector<std::string>& values = {},
                                  const std::vector<Oid>& types = {}) {
    std::vector<const char*> data;
    std::vector<int> lengths, formats(values.size(), 1);
    for (const std::string& value : values) {
      data.push_back(value.data());
      lengths.push_back(static_cast<int>(value.size()));
    }
    ResultPtr result(PQexecParams(connection_.get(), sql, static_cast<int>(values.size()),
                                  types.data(), data.data(), lengths.data(), formats.data(), 1));
    RETURN_IF_ERROR(Check(result.get(), sql));
    return result;
  }

  absl::Status Prepare(const char* name, const char* sql) {
    ResultPtr result(PQprepare(connection_.get(), name, sql, 0, nullptr));
    return Check(result.get(), name);
  }

  absl::Status Check(const PGresult* result, std::string_view what) {
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return absl::OkStatus();
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state != nullptr && state == kDeposed) {
      return absl::FailedPreconditionError(
          fmt::format("catalog: epoch {} is over: another entry leads now", epoch_));
    }
    return absl::UnavailableError(
        fmt::format("catalog: {}: {}", what, Trimmed(PQresultErrorMessage(result))));
  }

  absl::Status Error(std::string_view what) {
    return absl::UnavailableError(
        fmt::format("catalog: {}: {}", what, Trimmed(PQerrorMessage(connection_.get()))));
  }

  const std::string conninfo_;
  ConnectionPtr connection_;
  int64_t epoch_ = 0;
  int64_t head_ = 0;
  int64_t trimmed_ = 0;  // Entries below this index are gone.
};

}  // namespace

std::unique_ptr<Store> MakePostgresStore(const std::string& conninfo) {
  return std::make_unique<PostgresStore>(conninfo);
}

}  // namespace appsup::entry
