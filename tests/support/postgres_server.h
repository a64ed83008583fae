#pragma once

#include <sys/types.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace appsup::testing {

// A real PostgreSQL server of the test's own, on a unix socket in a temporary folder, stopped and
// removed at the end. As root it runs as the user `postgres`, since PostgreSQL refuses root.
class PostgresServer {
 public:
  // Whether commits wait for the disk. Tests need not: they kill processes, not machines.
  enum class Sync { kOff, kOn };

  // Throws, which fails a test, if PostgreSQL is not installed or does not start.
  explicit PostgresServer(Sync sync = Sync::kOff);
  ~PostgresServer();

  // Makes an empty database and returns libpq's connection string for it.
  std::string NewDatabase();

  // As a crash would: nothing is flushed. Start brings it back.
  void Kill();
  void Start();

 private:
  bool Stop();
  bool RunAsOwner(const std::string& command) const;  // True: it ended with 0.

  const Sync sync_;
  TempDir dir_;
  std::string bin_;
  int databases_ = 0;
};

}  // namespace appsup::testing
