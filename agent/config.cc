#include "agent/config.h"

#include <filesystem>

#include "common/config_reader.h"
#include "common/file.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

constexpr int kFewestPorts = 10;

void BindPorts(ConfigSection& ports, AgentConfig& config) {
  ports.Int("first", &config.first_port, 1024, 65535);
  ports.Int("last", &config.last_port, 1024, 65535);
  if (config.last_port - config.first_port + 1 < kFewestPorts) {
    ports.Refuse(ports.Has("last") ? "last" : "first", "the range must have at least 10 ports");
  }
}

void BindLog(ConfigSection& log, AgentConfig& config) {
  log.Enum<LogLevel>("level", &config.log.level,
                     {{"debug", LogLevel::kDebug},
                      {"info", LogLevel::kInfo},
                      {"warning", LogLevel::kWarning},
                      {"error", LogLevel::kError}});
  log.Enum<LogFormat>("format", &config.log.format,
                      {{"text", LogFormat::kText}, {"json", LogFormat::kJson}});
  log.String("file", &config.log.file);
}

void Bind(ConfigSection& top, AgentConfig& config) {
  top.String("root_dir", &config.root_dir);
  if (config.root_dir.empty()) {
    top.Refuse("root_dir", "is empty; name a folder, or leave the line out");
  }
  top.String("state_dir", &config.state_dir);
  top.String("identity_dir", &config.identity_dir);
  top.String("keeper_socket", &config.keeper_socket);
  top.String("entry", &config.entry);
  if (!config.entry.empty() && config.entry.rfind(':') == std::string::npos) {
    top.Refuse("entry", "must be HOST:PORT, such as entry.example:7071");
  }
  top.String("address", &config.address);
  top.String("listen_address", &config.listen_address);
  top.Section("ports", [&](ConfigSection& ports) { BindPorts(ports, config); });
  top.Section("app_logs", [&](ConfigSection& logs) {
    logs.Bytes("per_instance", &config.app_log_bytes, 64 << 10);
    logs.Duration("kept_after_removal", &config.app_log_kept);
  });
  top.Section("artifacts", [&](ConfigSection& artifacts) {
    artifacts.Bytes("cache", &config.artifact_cache_bytes);
    artifacts.Bytes("largest", &config.artifact_bytes, 1);
  });
  top.Duration("usage_period", &config.usage_period, absl::Seconds(1), absl::Hours(1));
  top.Section("http", [&](ConfigSection& http) { http.String("listen", &config.http_listen); });
  top.Section("log", [&](ConfigSection& log) { BindLog(log, config); });
}

absl::Status Complete(AgentConfig* config) {
  ASSIGN_OR_RETURN(config->root_dir, AbsolutePath(config->root_dir));
  const std::filesystem::path root = config->root_dir;
  const auto below = [&root](std::string* path, const std::string& otherwise) {
    if (path->empty()) *path = otherwise;
    if (!path->empty()) *path = (root / *path).lexically_normal().string();
  };
  below(&config->state_dir, "var/lib/appsup/agent");
  below(&config->identity_dir, config->state_dir + "/identity");
  below(&config->keeper_socket, "run/appsup/keeper/keeper.sock");
  below(&config->log.file, "");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AgentConfig> ReadAgentConfig(const std::string& path, const std::string& root_dir) {
  AgentConfig config;
  if (!path.empty()) {
    ASSIGN_OR_RETURN(config, ReadConfig<AgentConfig>(path, {}, Bind));
  }
  if (!root_dir.empty()) config.root_dir = root_dir;
  RETURN_IF_ERROR(Complete(&config));
  return config;
}

}  // namespace appsup::agent
