// Which names and addresses this entry is reached by.
#include <netdb.h>
#include <unistd.h>

#include "entry/entry.h"

namespace appsup::entry {
namespace {

std::string HostOf(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  return host.size() > 1 && host.front() == '[' ? host.substr(1, host.size() - 2) : host;
}

bool IsWildcard(const std::string& host) {
  return host.empty() || host == "0.0.0.0" || host == "::" || host == "*";
}

// This machine's name, if it leads anywhere.
std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  addrinfo* found = nullptr;
  if (getaddrinfo(name, nullptr, nullptr, &found) != 0) return "127.0.0.1";
  freeaddrinfo(found);
  return name;
}

}  // namespace

std::string AdvertisedAddress(const EntryConfig& config, int port) {
  if (!config.link_advertise.empty()) return config.link_advertise;
  const std::string host = config.link_listen.substr(0, config.link_listen.rfind(':'));
  return (IsWildcard(HostOf(config.link_listen)) ? HostName() : host) + ":" + std::to_string(port);
}

std::vector<std::string> Entry::ServerNames() const {
  std::vector<std::string> names = config_.tls_names;
  for (const std::string& address :
       {config_.link_advertise, config_.link_listen, config_.api_listen}) {
    const std::string host = HostOf(address);
    if (!address.empty() && !IsWildcard(host)) names.push_back(host);
  }
  names.push_back(HostName());
  return names;
}

}  // namespace appsup::entry
