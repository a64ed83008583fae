#include "entry/store/postgres_parameters.h"

#include <libpq-fe.h>

#include <memory>

#include "fmt/format.h"

namespace appsup::entry {
namespace {

// The kernel gives up on a peer that acknowledges nothing for 10 s while we send, and asks a silent
// one after 10 s, then every 5 s, three times.
const std::map<std::string, std::string>& Defaults() {
  static const auto& defaults = *new std::map<std::string, std::string>{
      {"connect_timeout", "5"},
      {"keepalives", "1"},
      {"keepalives_idle", "10"},
      {"keepalives_interval", "5"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", "10000"},
      {"fallback_application_name", "appsup-entry"},
  };
  return defaults;
}

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> PostgresParameters(const std::string& conninfo) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(
      PQconninfoParse(conninfo.c_str(), &error));
  const std::unique_ptr<char, decltype(&PQfreemem)> free_error(error, &PQfreemem);
  if (options == nullptr) {
    std::string why = error == nullptr ? "out of memory" : error;
    why.resize(why.find_last_not_of(" \n") + 1);
    return absl::InvalidArgumentError(
        fmt::format("catalog: PostgreSQL's connection string cannot be read: {}", why));
  }
  std::map<std::string, std::string> parameters = Defaults();
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) parameters[option->keyword] = option->val;
  }
  return parameters;
}

}  // namespace appsup::entry
