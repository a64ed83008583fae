#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/link/identity.h"

// How a machine becomes a node: `appsup-agent enroll --entry HOST:PORT --token TOKEN`.
namespace appsup::agent {

struct EnrollOptions {
  std::string entry;  // "HOST:PORT"; empty: the address in the token.
  std::string token;
  std::string node_id;     // Wanted id; empty: made from the host name.
  std::string machine_id;  // Empty: /etc/machine-id, or made from the host name.
  std::map<std::string, std::string> labels;
  absl::Duration timeout = absl::Seconds(20);
};

struct Enrolled {
  Identity identity;
  std::string node;         // `nodes/{node}`
  std::string environment;  // Id.
};

// Finds the entry, checks that its CA is the one that the token names, and gets a certificate.
// Blocks. Writes nothing: the caller keeps `identity` by WriteIdentity. PERMISSION_DENIED if the CA
// is another one; what the entry says if it refuses the token.
absl::StatusOr<Enrolled> Enroll(const EnrollOptions& options);

// A fresh certificate and key for a node that has one. Blocks.
absl::StatusOr<Identity> RenewIdentity(const Identity& identity, const std::string& entry,
                                       absl::Duration timeout);

// The first part of the host name, made into a valid id: "n1".
std::string NodeIdFromHostName(const std::string& host_name);

}  // namespace appsup::agent
