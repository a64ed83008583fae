#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

// The only place where statuses of ours and of gRPC meet.
namespace appsup::rpc {

// Error details travel in trailers, of which a peer takes 8 KiB in all, base64 included.
inline constexpr size_t kMaxMessageBytes = 800;
inline constexpr size_t kMaxDetailBytes = 4000;

// Code, message and, as a google.rpc.Status in `grpc-status-details-bin`, the details. What does
// not fit is cut, and says so: the message ends in "… (cut)", and the last field violation tells
// how many more there are.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The inverse. Details that cannot be read are left out.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace appsup::rpc
