#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"

namespace appsup::rpc {

// Bytes of a call to a message of the generated class for `type`, and back. INVALID_ARGUMENT if the
// bytes are no such message. `bytes` is used up.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ParseMessage(
    const google::protobuf::Descriptor& type, grpc::ByteBuffer* bytes);

grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message);

}  // namespace appsup::rpc
