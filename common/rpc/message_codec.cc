#include "common/rpc/message_codec.h"

#include <string>

#include "common/check.h"
#include "common/status.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "grpcpp/support/proto_buffer_writer.h"

namespace appsup::rpc {

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ParseMessage(
    const google::protobuf::Descriptor& type, grpc::ByteBuffer* bytes) {
  const google::protobuf::Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type);
  APPSUP_CHECK(prototype != nullptr, "only generated services are served");
  std::unique_ptr<google::protobuf::Message> message(prototype->New());
  const grpc::Status status =
      grpc::GenericDeserialize<grpc::ProtoBufferReader, google::protobuf::Message>(bytes,
                                                                                   message.get());
  if (!status.ok()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
                     "the bytes are not a message of type " + type.full_name(),
                     {{"type", type.full_name()}});
  }
  return message;
}

grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message) {
  grpc::ByteBuffer bytes;
  bool own_buffer = false;
  const grpc::Status status =
      grpc::GenericSerialize<grpc::ProtoBufferWriter, google::protobuf::Message>(message, &bytes,
                                                                                 &own_buffer);
  APPSUP_CHECK(status.ok(), "a message in memory is below 2 GiB");
  return bytes;
}

}  // namespace appsup::rpc
