#include "common/rpc/grpc_status.h"

#include <string>
#include <vector>

#include "common/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace appsup::rpc {
namespace {

constexpr size_t kMaxMetadataBytes = 300;  // Of one value, once something must be cut.
constexpr size_t kMaxDescriptionBytes = 400;
constexpr char kCut[] = "… (cut)";

// Cuts between characters, never within one.
void CutText(std::string* text, size_t limit) {
  if (text->size() <= limit) return;
  size_t keep = limit - sizeof(kCut);
  while (keep > 0 && (static_cast<unsigned char>((*text)[keep]) & 0xC0) == 0x80) --keep;
  text->resize(keep);
  text->append(kCut);
}

void CutMetadata(google::rpc::ErrorInfo* info) {
  for (auto& [key, value] : *info->mutable_metadata()) CutText(&value, kMaxMetadataBytes);
}

// Drops violations from the end until `fits` is true of the whole; the last one says how many.
template <class Fits>
void CutViolations(google::rpc::BadRequest* request, Fits fits) {
  auto* violations = request->mutable_field_violations();
  for (auto& violation : *violations) {
    CutText(violation.mutable_description(), kMaxDescriptionBytes);
    CutText(violation.mutable_field(), kMaxDescriptionBytes);
  }
  int dropped = 0;
  while (!violations->empty() && !fits()) {
    if (dropped > 0) violations->RemoveLast();  // The one that counts.
    if (violations->empty()) return;
    violations->RemoveLast();
    ++dropped;
    google::rpc::BadRequest::FieldViolation* rest = violations->Add();
    rest->set_description("and " + std::to_string(dropped) +
                          " more that do not fit into an answer; mend these first");
  }
}

google::rpc::Status Shrink(const google::rpc::Status& whole) {
  google::rpc::Status small;
  small.set_code(whole.code());
  small.set_message(whole.message());
  for (const google::protobuf::Any& detail : whole.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest request;
    if (detail.UnpackTo(&info)) {
      CutMetadata(&info);
      small.add_details()->PackFrom(info);
    } else if (detail.UnpackTo(&request)) {
      google::protobuf::Any* place = small.add_details();
      CutViolations(&request, [&] {
        place->PackFrom(request);
        return small.ByteSizeLong() <= kMaxDetailBytes;
      });
    }
  }
  while (small.details_size() > 0 && small.ByteSizeLong() > kMaxDetailBytes) {
    small.mutable_details()->RemoveLast();
  }
  return small;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status proto = ToProto(status);
  CutText(proto.mutable_message(), kMaxMessageBytes);
  if (proto.ByteSizeLong() > kMaxDetailBytes) proto = Shrink(proto);
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()), proto.message(),
                      proto.details_size() > 0 ? proto.SerializeAsString() : std::string());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status proto;
  if (!proto.ParseFromString(status.error_details())) proto.clear_details();
  proto.set_code(status.error_code());
  proto.set_message(status.error_message());
  return FromProto(proto);
}

}  // namespace appsup::rpc
