#include "common/file.h"
#include "common/status.h"
#include "entry/entry.h"

namespace appsup::entry {

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const EntryConfig& config) {
  if (config.store == StoreKind::kSqlite) return OpenSqliteStore(config.sqlite_path);
  std::string url = config.postgres_url;
  if (!config.postgres_url_file.empty()) {
    ASSIGN_OR_RETURN(url, ReadFile(config.postgres_url_file, 4096));
    url.resize(url.find_last_not_of(" \r\n\t") + 1);
  }
  return MakePostgresStore(url);
}

}  // namespace appsup::entry
