#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/log.h"
#include "entry/core/options.h"

namespace appsup::entry {

enum class StoreKind { kSqlite, kPostgres };

// entry.yaml. Paths are complete: relative ones were put below root_dir when the file was read.
struct EntryConfig {
  std::string root_dir = "/";
  std::string state_dir;  // {root_dir}/var/lib/appsup/entry
  std::string run_dir;    // {root_dir}/run/appsup

  std::string api_socket;  // {run_dir}/api.sock
  // May use the socket, beside root and the entry's user. Empty: no group. The default may be
  // missing, another one must be there.
  static constexpr char kDefaultSocketGroup[] = "appsup";
  std::string api_socket_group = kDefaultSocketGroup;
  std::string api_listen = "127.0.0.1:7070";  // Empty: the socket only.
  bool api_tls = false;                       // Required beyond loopback.
  std::vector<std::string> tls_names;         // Further names and addresses of the certificate.
  std::string tokens_file;                    // Named tokens beside admin.token.

  std::string link_listen = "0.0.0.0:7071";
  std::string link_advertise;  // "HOST:PORT" that nodes are told; found out if empty.

  std::string http_listen = "127.0.0.1:7072";  // Empty: none.

  StoreKind store = StoreKind::kSqlite;
  std::string sqlite_path;   // {state_dir}/catalog.db
  std::string postgres_url;  // Or from a file that only the entry can read:
  std::string postgres_url_file;

  LogOptions log;
  CoreOptions core;
  int64_t max_blob_bytes = int64_t{4} << 30;
  int64_t max_blob_total_bytes = int64_t{64} << 30;
};

// Reads the file; an empty path gives the defaults. `root_dir`, if not empty, wins over the file's.
// All faults at once, as common/config_reader.h says.
absl::StatusOr<EntryConfig> ReadEntryConfig(const std::string& path, const std::string& root_dir,
                                            bool allow_unsafe);

// Refuses what must not be: an API beyond loopback without TLS. Says what to write instead.
absl::Status CheckEntryConfig(const EntryConfig& config);

// "127.0.0.1:7070", "[::1]:7070" and "localhost:7070" are loopback addresses.
bool IsLoopback(const std::string& address);

}  // namespace appsup::entry
