#include "entry/config.h"

#include <filesystem>

#include "common/config_reader.h"
#include "common/file.h"
#include "common/status.h"

namespace appsup::entry {
namespace {

const std::vector<std::pair<std::string, LogLevel>>& LogLevels() {
  static const auto& levels =
      *new std::vector<std::pair<std::string, LogLevel>>{{"debug", LogLevel::kDebug},
                                                         {"info", LogLevel::kInfo},
                                                         {"warning", LogLevel::kWarning},
                                                         {"error", LogLevel::kError}};
  return levels;
}

void BindApi(ConfigSection& api, EntryConfig& config) {
  api.String("socket", &config.api_socket);
  api.String("socket_group", &config.api_socket_group);
  api.String("listen", &config.api_listen);
  api.Bool("tls", &config.api_tls);
  api.StringList("tls_names", &config.tls_names);
  api.String("tokens_file", &config.tokens_file);
}

void BindStore(ConfigSection& store, EntryConfig& config) {
  store.Enum<StoreKind>("kind", &config.store,
                        {{"sqlite", StoreKind::kSqlite}, {"postgres", StoreKind::kPostgres}});
  store.String("path", &config.sqlite_path);
  store.String("url", &config.postgres_url);
  store.String("url_file", &config.postgres_url_file);
  if (config.store == StoreKind::kPostgres && !store.Has("url") && !store.Has("url_file")) {
    store.Refuse("kind", "postgres needs `url` or `url_file`");
  }
  if (store.Has("url") && store.Has("url_file")) {
    store.Refuse("url_file", "and `url` exclude each other");
  }
}

void BindLimits(ConfigSection& limits, EntryConfig& config) {
  const absl::Duration day = absl::Hours(24);
  limits.Duration("heartbeat", &config.core.heartbeat_period, absl::Milliseconds(100),
                  absl::Minutes(5));
  limits.Duration("lease", &config.core.lease, absl::Milliseconds(300), absl::Minutes(30));
  limits.Duration("deleted_app_kept", &config.core.deleted_app_kept, absl::Seconds(1), 365 * day);
  limits.Duration("operation_kept", &config.core.operation_kept, absl::Seconds(1), 365 * day);
  limits.Duration("change_log_kept", &config.core.change_log_kept, absl::Seconds(1), 365 * day);
  limits.Duration("request_id_kept", &config.core.request_id_kept, absl::Seconds(1), 30 * day);
  limits.Int("max_change_log_entries", &config.core.max_change_log_entries, 100, 1'000'000'000);
  limits.Int("revisions_kept", &config.core.revisions_kept, 1, 1000);
  limits.Bytes("default_memory_reserve", &config.core.default_memory_reserve);
  limits.Bytes("blob", &config.max_blob_bytes, 1);
  limits.Bytes("blobs", &config.max_blob_total_bytes, 1);
  if (config.core.lease < 2 * config.core.heartbeat_period) {
    limits.Refuse("lease", "must be at least twice the heartbeat");
  }
}

void Bind(ConfigSection& top, EntryConfig& config) {
  top.String("root_dir", &config.root_dir);
  if (config.root_dir.empty()) {
    top.Refuse("root_dir", "is empty; name a folder, or leave the line out");
  }
  top.String("state_dir", &config.state_dir);
  top.String("run_dir", &config.run_dir);
  top.Section("api", [&](ConfigSection& api) { BindApi(api, config); });
  top.Section("link", [&](ConfigSection& link) {
    link.String("listen", &config.link_listen);
    link.String("advertise", &config.link_advertise);
  });
  top.Section("http", [&](ConfigSection& http) { http.String("listen", &config.http_listen); });
  top.Section("store", [&](ConfigSection& store) { BindStore(store, config); });
  top.Section("log", [&](ConfigSection& log) {
    log.Enum<LogLevel>("level", &config.log.level, LogLevels());
    log.Enum<LogFormat>("format", &config.log.format,
                        {{"text", LogFormat::kText}, {"json", LogFormat::kJson}});
    log.String("file", &config.log.file);
  });
  top.Section("limits", [&](ConfigSection& limits) { BindLimits(limits, config); });
}

absl::Status Complete(EntryConfig* config) {
  ASSIGN_OR_RETURN(config->root_dir, AbsolutePath(config->root_dir));
  const std::filesystem::path root = config->root_dir;
  auto below = [&root](std::string* path, const std::string& otherwise) {
    if (path->empty()) *path = otherwise;
    if (!path->empty()) *path = (root / *path).lexically_normal().string();
  };
  below(&config->state_dir, "var/lib/appsup/entry");
  below(&config->run_dir, "run/appsup");
  below(&config->api_socket, config->run_dir + "/api.sock");
  below(&config->sqlite_path, config->state_dir + "/catalog.db");
  below(&config->tokens_file, "");
  below(&config->postgres_url_file, "");
  below(&config->log.file, "");
  return absl::OkStatus();
}

std::string HostOf(const std::string& address) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.size() > 1 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return host;
}

}  // namespace

bool IsLoopback(const std::string& address) {
  const std::string host = HostOf(address);
  return host == "localhost" || host == "::1" || host.compare(0, 4, "127.") == 0;
}

absl::StatusOr<EntryConfig> ReadEntryConfig(const std::string& path, const std::string& root_dir,
                                            bool allow_unsafe) {
  EntryConfig config;
  if (!path.empty()) {
    ConfigOptions options;
    options.allow_unsafe = allow_unsafe;
    ASSIGN_OR_RETURN(config, ReadConfig<EntryConfig>(path, options, Bind));
  }
  if (!root_dir.empty()) config.root_dir = root_dir;
  RETURN_IF_ERROR(Complete(&config));
  RETURN_IF_ERROR(CheckEntryConfig(config));
  return config;
}

absl::Status CheckEntryConfig(const EntryConfig& config) {
  const std::string& listen = config.api_listen;
  if (listen.empty() || config.api_tls || IsLoopback(listen)) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, "TLS_REQUIRED",
                   "api.listen " + listen +
                       " can be reached from other machines, and tokens must not cross a network "
                       "in the clear: set api.tls: true, or listen on 127.0.0.1",
                   {{"address", listen}});
}

}  // namespace appsup::entry
