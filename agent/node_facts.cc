#include "agent/node_facts.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/file.h"
#include "common/id.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace appsup::agent {
namespace {

constexpr int64_t kKiB = 1024;
constexpr char kFallbackAddress[] = "127.0.0.1";

std::string Trimmed(const std::string& text) {
  return text.substr(0, text.find_last_not_of(" \n") + 1);
}

std::string Contents(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  return text.ok() ? *std::move(text) : "";
}

// "MemTotal:  123 kB" -> bytes.
int64_t MemInfo(const std::string& text, const std::string& key) {
  const size_t at = text.find(absl::StrCat(key, ":"));
  if (at == std::string::npos) return 0;
  return std::strtoll(text.c_str() + at + key.size() + 1, nullptr, 10) * kKiB;
}

}  // namespace

absl::StatusOr<std::string> MachineId(const std::string& state_dir) {
  const std::string system = Trimmed(Contents("/etc/machine-id"));
  if (!system.empty()) return system;
  const std::string path = state_dir + "/machine-id";
  if (const std::string own = Trimmed(Contents(path)); !own.empty()) return own;
  SystemRandom random;
  const std::string made = NewUuid(random);
  RETURN_IF_ERROR(AtomicWriteFile(path, made, 0644));
  return made;
}

appsupervisor::v1::ResourceTotals Capacity() {
  appsupervisor::v1::ResourceTotals totals;
  cpu_set_t set;
  const bool known = sched_getaffinity(0, sizeof(set), &set) == 0;
  const int64_t cores = known ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
  totals.set_cpu_millis(cores * 1000);
  totals.set_memory_bytes(MemInfo(Contents("/proc/meminfo"), "MemTotal"));
  totals.set_pids(std::strtoll(Contents("/proc/sys/kernel/pid_max").c_str(), nullptr, 10));
  return totals;
}

std::string AddressTowards(const std::string& entry) {
  const size_t colon = entry.rfind(':');
  if (colon == std::string::npos) return kFallbackAddress;
  std::string host = entry.substr(0, colon);
  if (host.size() > 1 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), entry.c_str() + colon + 1, &hints, &found) != 0) {
    return kFallbackAddress;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> keep(found, freeaddrinfo);
  for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
    // Connecting a datagram socket sends nothing; it only chooses the route.
    UniqueFd fd(socket(it->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.valid() || connect(fd.get(), it->ai_addr, it->ai_addrlen) != 0) continue;
    sockaddr_storage own = {};
    socklen_t size = sizeof(own);
    char text[NI_MAXHOST];
    if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      return text;
    }
  }
  return kFallbackAddress;
}

bool IsLoopbackAddress(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

std::optional<std::string> EphemeralOverlap(int32_t first, int32_t last) {
  std::istringstream range(Contents("/proc/sys/net/ipv4/ip_local_port_range"));
  int32_t low = 0;
  int32_t high = 0;
  if (!(range >> low >> high) || last < low || first > high) return std::nullopt;
  return absl::StrCat("ports ", first, " to ", last,
                      " overlap those that the kernel gives to outgoing connections (", low, " to ",
                      high, "): a picked port may be taken for a while");
}

appsupervisor::v1::ResourceTotals UsageSampler::Sample() {
  appsupervisor::v1::ResourceTotals usage;
  const std::string meminfo = Contents("/proc/meminfo");
  usage.set_memory_bytes(MemInfo(meminfo, "MemTotal") - MemInfo(meminfo, "MemAvailable"));
  // "0.1 0.2 0.3 2/345 6789": running/all threads.
  const std::string load = Contents("/proc/loadavg");
  if (const size_t slash = load.find('/'); slash != std::string::npos) {
    usage.set_pids(std::strtoll(load.c_str() + slash + 1, nullptr, 10));
  }
  std::istringstream stat(Contents("/proc/stat"));
  std::string word;
  stat >> word;
  int64_t all = 0;
  int64_t idle = 0;
  int64_t ticks = 0;
  for (int i = 0; i < 8 && stat >> ticks; ++i) {  // user nice system idle iowait irq softirq steal
    all += ticks;
    if (i == 3 || i == 4) idle += ticks;
  }
  const int64_t busy = all - idle;
  if (all_ticks_ != 0 && all > all_ticks_) {
    const int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    usage.set_cpu_millis(cores * 1000 * (busy - busy_ticks_) / (all - all_ticks_));
  }
  busy_ticks_ = busy;
  all_ticks_ = all;
  return usage;
}

}  // namespace appsup::agent
