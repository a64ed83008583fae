// What every store promises, asked of each implementation with its real database behind it.
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <sqlite3.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>

#include "common/unique_fd.h"
#include "entry/store/store.h"
#include "tests/support/postgres_server.h"
#include "tests/support/temp_dir.h"

namespace appsup::entry {
namespace {

// One catalog that can be opened again and again, as a restarted entry would.
class Place {
 public:
  virtual ~Place() = default;
  virtual absl::StatusOr<std::unique_ptr<Store>> Open() = 0;
  // As a program of another schema version would have left it.
  virtual void SetSchemaVersion(int version) = 0;
};

class SqlitePlace : public Place {
 public:
  absl::StatusOr<std::unique_ptr<Store>> Open() override {
    return OpenSqliteStore(dir_.File("catalog.db"));
  }
  void SetSchemaVersion(int version) override {
    sqlite3* database = nullptr;
    const bool opened = sqlite3_open(dir_.File("catalog.db").c_str(), &database) == SQLITE_OK;
    const std::string statement = "PRAGMA user_version = " + std::to_string(version);
    const int done = sqlite3_exec(database, statement.c_str(), nullptr, nullptr, nullptr);
    sqlite3_close(database);
    REQUIRE(opened);
    REQUIRE(done == SQLITE_OK);
  }

 private:
  testing::TempDir dir_;
};

class PostgresPlace : public Place {
 public:
  absl::StatusOr<std::unique_ptr<Store>> Open() override { return MakePostgresStore(conninfo_); }
  void SetSchemaVersion(int version) override {
    PGconn* connection = PQconnectdb(conninfo_.c_str());
    const std::string statement =
        "UPDATE appsup.leader SET schema_version = " + std::to_string(version);
    PGresult* result = PQexec(connection, statement.c_str());
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    PQfinish(connection);
    REQUIRE(done);
  }
  static testing::PostgresServer& Server() {
    static testing::PostgresServer server;
    return server;
  }

 private:
  std::string conninfo_ = Server().NewDatabase();
};

Transaction Write(int64_t index, const std::string& key, std::optional<std::string> value) {
  Transaction transaction;
  transaction.first_index = transaction.last_index = index;
  transaction.rows.push_back({"app", key, std::move(value)});
  transaction.changes.push_back({index, "event " + std::to_string(index)});
  return transaction;
}

std::string ValueOf(const Store::Leadership& leadership, const std::string& key) {
  for (const RowChange& row : leadership.rows.rows) {
    if (row.table == "app" && row.key == key) return *row.value;
  }
  return "(none)";
}

std::unique_ptr<Store> Opened(Place& place) {
  auto store = place.Open();
  INFO(store.status().ToString());
  REQUIRE(store.ok());
  return std::move(*store);
}

Store::Leadership Led(Store& store) {
  auto leadership = store.Lead("test");
  INFO(leadership.status().ToString());
  REQUIRE(leadership.ok());
  return std::move(*leadership);
}

TEMPLATE_TEST_CASE("store: keeps its contract", "", SqlitePlace, PostgresPlace) {
  TestType place;
  auto store = Opened(place);
  const auto first = Led(*store);

  SECTION("a new catalog is empty") {
    CHECK(first.rows.rows.empty());
    CHECK(first.rows.last_index == 0);
    CHECK(first.epoch >= 1);
  }
  SECTION("what was committed is there after a restart, the newest value of each row") {
    REQUIRE(
        store->Commit({Write(1, "a", "one"), Write(2, "b", "two"), Write(3, "a", "three")}).ok());
    REQUIRE(store->Commit({Write(4, "b", std::nullopt)}).ok());
    store.reset();
    store = Opened(place);
    const auto second = Led(*store);
    CHECK(second.rows.last_index == 4);
    CHECK(ValueOf(second, "a") == "three");
    CHECK(ValueOf(second, "b") == "(none)");
    CHECK(second.epoch > first.epoch);
  }
  SECTION("bytes of all values survive") {
    std::string every;
    for (int i = 0; i < 256; ++i) every.push_back(static_cast<char>(i));
    const std::string large(3 << 20, '\x7f');
    REQUIRE(store->Commit({Write(1, "every", every), Write(2, "large", large)}).ok());
    const auto again = Led(*store);
    CHECK(ValueOf(again, "every") == every);
    CHECK((ValueOf(again, "large") == large));
  }
  SECTION("a gap in the indices is refused and writes nothing") {
    REQUIRE(store->Commit({Write(1, "a", "one")}).ok());
    CHECK(store->Commit({Write(3, "a", "three")}).code() == absl::StatusCode::kInternal);
    CHECK(store->Commit({Write(2, "b", "two"), Write(2, "b", "again")}).code() ==
          absl::StatusCode::kInternal);
    REQUIRE(store->Commit({Write(2, "a", "two")}).ok());
    CHECK(ValueOf(Led(*store), "a") == "two");
  }
  SECTION("the change log is read in order, after an index, up to a limit") {
    REQUIRE(store->Commit({Write(1, "a", "x"), Write(2, "a", "y"), Write(3, "a", "z")}).ok());
    auto changes = store->ReadChanges(1, 10);
    REQUIRE(changes.ok());
    REQUIRE(changes->size() == 2);
    CHECK((*changes)[0].index == 2);
    CHECK((*changes)[0].event == "event 2");
    CHECK((*changes)[1].index == 3);
    changes = store->ReadChanges(0, 2);
    REQUIRE(changes.ok());
    CHECK(changes->size() == 2);
    changes = store->ReadChanges(3, 10);
    REQUIRE(changes.ok());
    CHECK(changes->empty());
  }
  SECTION("reading before what was trimmed says where the log begins, also after a restart") {
    Transaction third = Write(3, "a", "z");
    third.trim_changes_before = 3;
    REQUIRE(store->Commit({Write(1, "a", "x"), Write(2, "a", "y"), third}).ok());
    CHECK(store->ReadChanges(1, 10).status().code() == absl::StatusCode::kOutOfRange);
    REQUIRE(store->ReadChanges(2, 10).ok());
    CHECK(store->ReadChanges(2, 10)->size() == 1);
    store.reset();
    store = Opened(place);
    Led(*store);
    CHECK(store->ReadChanges(1, 10).status().code() == absl::StatusCode::kOutOfRange);
  }
  SECTION("a second entry on the same catalog is told that another leads") {
    auto rival = place.Open();
    const absl::Status refused = rival.ok() ? (*rival)->Lead("rival").status() : rival.status();
    CHECK(refused.code() == absl::StatusCode::kUnavailable);
    REQUIRE(store->Commit({Write(1, "a", "one")}).ok());
  }
}

TEMPLATE_TEST_CASE("store: a catalog of a newer schema is refused and left as it is", "",
                   SqlitePlace, PostgresPlace) {
  TestType place;
  auto store = Opened(place);
  Led(*store);
  REQUIRE(store->Commit({Write(1, "a", "one")}).ok());
  store.reset();
  place.SetSchemaVersion(2);
  for (int tries = 0; tries < 2; ++tries) {
    auto opened = place.Open();
    const absl::Status status = opened.ok() ? (*opened)->Lead("test").status() : opened.status();
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()),
               Catch::EndsWith("catalog: schema version 2 is newer than this program's 1; install "
                               "a newer program"));
  }
  place.SetSchemaVersion(1);
  store = Opened(place);
  const auto again = Led(*store);
  CHECK(again.rows.last_index == 1);
  CHECK(ValueOf(again, "a") == "one");
}

TEST_CASE("postgres store: a deposed leader writes nothing") {
  PostgresPlace place;
  auto store = Opened(place);
  Led(*store);
  REQUIRE(store->Commit({Write(1, "a", "one")}).ok());
  // The server restarts: the old connection's lock is gone, and another entry is faster.
  PostgresPlace::Server().Kill();
  PostgresPlace::Server().Start();
  auto rival = Opened(place);
  Led(*rival);
  CHECK_FALSE(store->Commit({Write(2, "a", "old leader")}).ok());
  REQUIRE(rival->Commit({Write(2, "a", "new leader")}).ok());
  CHECK(ValueOf(Led(*rival), "a") == "new leader");
}

TEST_CASE("postgres store: a server that is gone and back loses nothing acknowledged") {
  PostgresPlace place;
  auto store = Opened(place);
  Led(*store);
  REQUIRE(store->Commit({Write(1, "a", "one")}).ok());
  PostgresPlace::Server().Kill();
  CHECK(store->Commit({Write(2, "a", "two")}).code() == absl::StatusCode::kUnavailable);
  CHECK_FALSE(store->Lead("test").ok());
  PostgresPlace::Server().Start();
  const auto again = Led(*store);
  CHECK(ValueOf(again, "a") == "one");
  CHECK(again.rows.last_index == 1);
  CHECK(store->Commit({Write(2, "a", "two")}).ok());
}

TEST_CASE("postgres store: an unreachable server is named") {
  auto store = MakePostgresStore("host=/nonexistent dbname=x");
  const absl::Status status = store->Lead("test").status();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(status.ToString(), Catch::Contains("/nonexistent"));
}

TEST_CASE("postgres store: a server that accepts and then says nothing is given up on") {
  const UniqueFd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  REQUIRE(bind(silent.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(listen(silent.get(), 1) == 0);
  REQUIRE(getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  auto store = MakePostgresStore("host=127.0.0.1 dbname=x user=x port=" +
                                 std::to_string(ntohs(address.sin_port)));
  const absl::Status status = store->Lead("test").status();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(status.ToString(), Catch::Contains("timeout expired"));
}

TEST_CASE("sqlite store: a file that is no catalog is refused") {
  testing::TempDir dir;
  FILE* file = fopen(dir.File("catalog.db").c_str(), "w");
  REQUIRE(file != nullptr);
  fputs("this is not a database, but a text that is long enough to be looked at as a header", file);
  fclose(file);
  CHECK(OpenSqliteStore(dir.File("catalog.db")).status().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("sqlite store: a folder that is missing is named") {
  const absl::Status status = OpenSqliteStore("/nonexistent/catalog.db").status();
  CHECK_THAT(status.ToString(), Catch::Contains("/nonexistent/catalog.db"));
}

}  // namespace
}  // namespace appsup::entry
