#include "common/status.h"

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "common/check.h"
#include "common/log.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace appsup {
namespace {

constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";

template <class Message>
std::optional<Message> GetDetail(const absl::Status& status, const char* type_url) {
  absl::optional<absl::Cord> payload = status.GetPayload(type_url);
  Message message;
  if (!payload.has_value() || !message.ParseFromString(std::string(*payload))) return std::nullopt;
  return message;
}

void CopyPayloads(const absl::Status& from, absl::Status* to) {
  from.ForEachPayload([to](absl::string_view type_url, const absl::Cord& payload) {
    to->SetPayload(type_url, payload);
  });
}

absl::StatusCode CodeFromNumber(int number) {
  constexpr int kHighest = static_cast<int>(absl::StatusCode::kUnauthenticated);
  if (number < 0 || number > kHighest) return absl::StatusCode::kUnknown;
  return static_cast<absl::StatusCode>(number);
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string reason, std::string message,
                       std::map<std::string, std::string> metadata,
                       std::vector<FieldViolation> violations) {
  APPSUP_CHECK(code != absl::StatusCode::kOk, "an error has another code than OK");
  absl::Status status(code, message);
  google::rpc::ErrorInfo info;
  info.set_reason(std::move(reason));
  info.set_domain(kErrorDomain);
  for (auto& [key, value] : metadata) (*info.mutable_metadata())[key] = std::move(value);
  status.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  if (violations.empty()) return status;
  google::rpc::BadRequest bad_request;
  for (FieldViolation& violation : violations) {
    auto* added = bad_request.add_field_violations();
    added->set_field(std::move(violation.field));
    added->set_description(std::move(violation.description));
  }
  status.SetPayload(kBadRequestUrl, absl::Cord(bad_request.SerializeAsString()));
  return status;
}

std::optional<google::rpc::ErrorInfo> GetErrorInfo(const absl::Status& status) {
  return GetDetail<google::rpc::ErrorInfo>(status, kErrorInfoUrl);
}

std::string ErrorReason(const absl::Status& status) {
  std::optional<google::rpc::ErrorInfo> info = GetErrorInfo(status);
  return info.has_value() ? info->reason() : std::string();
}

std::vector<FieldViolation> GetFieldViolations(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  auto bad_request = GetDetail<google::rpc::BadRequest>(status, kBadRequestUrl);
  if (!bad_request.has_value()) return violations;
  for (const auto& violation : bad_request->field_violations()) {
    violations.push_back({violation.field(), violation.description()});
  }
  return violations;
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(std::string(context), ": ", status.message()));
  CopyPayloads(status, &annotated);
  return annotated;
}

google::rpc::Status ToProto(const absl::Status& status) {
  google::rpc::Status proto;
  proto.set_code(static_cast<int>(status.raw_code()));
  proto.set_message(std::string(status.message()));
  status.ForEachPayload([&proto](absl::string_view type_url, const absl::Cord& payload) {
    auto* detail = proto.add_details();
    detail->set_type_url(std::string(type_url));
    detail->set_value(std::string(payload));
  });
  return proto;
}

absl::Status FromProto(const google::rpc::Status& proto) {
  absl::Status status(CodeFromNumber(proto.code()), proto.message());
  for (const auto& detail : proto.details()) {
    status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return status;
}

absl::Status ErrnoError(int error_number, std::string_view what) {
  return absl::ErrnoToStatus(error_number, std::string(what));
}

void IgnoreError(const absl::Status& status, std::string_view why) {
  if (status.ok()) return;
  Log(LogLevel::kDebug, "error-ignored", {{"error", status}, {"why", why}});
}

}  // namespace appsup
