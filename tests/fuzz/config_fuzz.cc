// The three programs' configuration files. The first byte says whose it is; the rest is the file.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "agent/config.h"
#include "agent/keeper/config/config.h"
#include "common/unique_fd.h"
#include "entry/config.h"
#include "tests/fuzz/steps.h"

namespace appsup {
namespace {

using fuzz::Expect;

void ExpectConfigFault(const absl::Status& status) {
  Expect(status.ok() || absl::IsInvalidArgument(status), status.ToString().c_str());
}

void ReadEntry(const std::string& path, bool allow_unsafe) {
  const auto config = entry::ReadEntryConfig(path, "", allow_unsafe);
  ExpectConfigFault(config.status());
  if (!config.ok()) return;
  entry::IsLoopback(config->api_listen);
  ExpectConfigFault(entry::CheckEntryConfig(*config));
}

void ReadAgent(const std::string& path) {
  const auto config = agent::ReadAgentConfig(path, "");
  ExpectConfigFault(config.status());
  if (config.ok()) Expect(config->first_port <= config->last_port, "there are ports to pick");
}

void ReadKeeper(const std::string& path) {
  const auto policy = keeper::ReadPolicy(path);
  ExpectConfigFault(policy.status());
  if (!policy.ok()) return;
  Expect(policy->first_uid <= policy->last_uid, "there are user ids to pick");
  for (const std::string& root : policy->roots) {
    Expect(root.size() > 1 && root[0] == '/', "roots are folders below /");
  }
  const keeper::Policy again = keeper::FromRecord(keeper::ToRecord(*policy));
  Expect(
      keeper::ToRecord(again).SerializeAsString() == keeper::ToRecord(*policy).SerializeAsString(),
      "the keeper gets what was read");
}

}  // namespace
}  // namespace appsup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  appsup::UniqueFd file(memfd_create("config", MFD_CLOEXEC));
  appsup::fuzz::Expect(write(file.get(), data + 1, size - 1) == static_cast<ssize_t>(size - 1),
                       "a file is written");
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  switch (data[0] % 4) {
    case 0:
    case 1:
      appsup::ReadEntry(path, data[0] % 4 == 1);
      break;
    case 2:
      appsup::ReadAgent(path);
      break;
    default:
      appsup::ReadKeeper(path);
      break;
  }
  return 0;
}
