#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace appsup {

// Packets on the SOCK_SEQPACKET socket between agent and keeper; used by both. A packet is one
// byte, 'b' and the body, or 'm' and one file descriptor: a memfd that holds the body, sealed
// against any change. The body is a serialised Request or Response. Stateless, never blocks.

// Larger bodies travel in a memfd.
inline constexpr size_t kInlineLimit = size_t{32} << 10;
// Larger bodies are refused by both sides: RESOURCE_EXHAUSTED when sending, the end when receiving.
inline constexpr size_t kBodyLimit = size_t{8} << 20;

// False: the socket is full, try again when it is writable. An error: the connection is of no use.
absl::StatusOr<bool> SendPacket(int socket, const std::string& body);

// Nothing: no packet is there now. An error (also the peer's end, as UNAVAILABLE): the connection
// is of no use.
absl::StatusOr<std::optional<std::string>> ReceivePacket(int socket);

}  // namespace appsup
