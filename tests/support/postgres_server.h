#pragma once

#include <sys/types.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace appsup::testing {

// A real PostgreSQL server of the test's own, on a unix socket in a temporary folder. As root it
// runs as the user `postgres`, since PostgreSQL refuses root. It does not sync its disk: tests kill processes, not machines. Stopped and removed
// at the end.
class PostgresServer {
 public:
  // Fails the test if PostgreSQL is not installed or does not start.
  PostgresServer();
  ~PostgresServer();

  // Makes an empty database and returns libpq's connection string for it.
  std::string NewDatabase();

  // As a crash would: nothing is flushed. Start brings it back.
  void Kill();
  void Start();

 private:
  bool Stop();
  bool RunAsOwner(const std::string& command) const;  // True: it ended with 0.

  TempDir dir_;
  std::string bin_;
  int databases_ = 0;
};

}  // namespace appsup::testing
