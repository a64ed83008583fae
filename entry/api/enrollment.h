#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/rpc/server_call.h"
#include "entry/api/core_call.h"
#include "entry/security/ca.h"

// How machines become nodes. The core gives out and consumes join tokens; here they get the CA's
// fingerprint and an address, and nodes their certificates.
namespace appsup::entry {

struct EnrollmentOptions {
  std::string link_address;  // "HOST:PORT", as nodes reach it.
};

// Makes the core's answer to CreateEnrollmentToken into what is pasted on a node: `token` holds the
// secret before and the whole join token afterwards, and `command` is filled.
CoreCall::Complete CompleteEnrollmentToken(const Ca& ca, const EnrollmentOptions& options);

// Serves LinkService.Enroll: with a join token the core enrols the node; without one, the node's
// certificate on this connection is renewed, unless the node is revoked or another by now. All
// arguments outlive the call.
std::shared_ptr<rpc::CallSink> ServeEnroll(const CoreDoor& door, const Ca& ca, Clock& clock,
                                           const std::shared_ptr<rpc::ServerCall>& call);

}  // namespace appsup::entry
