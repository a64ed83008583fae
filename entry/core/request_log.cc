#include "entry/core/request_log.h"

#include <memory>

#include "common/digest.h"
#include "common/status.h"
#include "entry/core/proto_time.h"
#include "entry/core/serialize.h"

namespace appsup::entry {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The request's id, or "" if it has none or only asks for a check.
std::string RequestId(const Message& request) {
  const auto* descriptor = request.GetDescriptor();
  const FieldDescriptor* id = descriptor->FindFieldByName("request_id");
  if (id == nullptr) return "";
  const FieldDescriptor* validate_only = descriptor->FindFieldByName("validate_only");
  const auto* reflection = request.GetReflection();
  if (validate_only != nullptr && reflection->GetBool(request, validate_only)) return "";
  return reflection->GetString(request, id);
}

bool IsUuid(const std::string& text) {
  if (text.size() != 36) return false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (c != '-') return false;
    } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
      return false;
    }
  }
  return true;
}

std::string Key(const ApiCall& call, const std::string& id) {
  return call.principal.project + "|" + call.method + "|" + id;
}

absl::Status NoUuid(const std::string& id) {
  const std::string rule = "must be a UUID such as 0b6e8a52-52e7-4f9b-9d1c-0e9d3f6a7c11";
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_ARGUMENT", "request_id: " + rule,
                   {{"request_id", id.substr(0, 64)}}, {{"request_id", rule}});
}

MethodResult Unpack(const google::protobuf::Any& any) {
  std::string type = any.type_url().substr(any.type_url().rfind('/') + 1);
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  const Message* prototype =
      descriptor == nullptr
          ? nullptr
          : google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor);
  std::shared_ptr<Message> message(prototype == nullptr ? nullptr : prototype->New());
  if (message == nullptr || !any.UnpackTo(message.get())) {
    return MakeError(absl::StatusCode::kDataLoss, "RESULT_UNREADABLE",
                     "The kept result of this request_id cannot be read; use a new id.");
  }
  return std::shared_ptr<const Message>(std::move(message));
}

}  // namespace

RequestLog::RequestLog(const CoreOptions& options, Catalog& catalog)
    : options_(options), catalog_(catalog) {
  for (const auto& [key, record] : catalog.requests.rows()) {
    by_expiry_.emplace(FromTimestamp(record.expire_time()), key);
  }
}

std::optional<MethodResult> RequestLog::Repeat(const ApiCall& call) const {
  const std::string id = RequestId(*call.request);
  if (id.empty()) return std::nullopt;
  if (!IsUuid(id)) return NoUuid(id);
  const rec::RequestRecord* record = catalog_.requests.Find(Key(call, id));
  if (record == nullptr) return std::nullopt;
  if (record->request_sha256() != Sha256Hex(Serialize(*call.request))) {
    return MakeError(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
                     "request_id " + id +
                         " was used for another request within the last 24 h; use a new UUID for "
                         "each request.",
                     {{"request_id", id}}, {{"request_id", "was used for another request"}});
  }
  MethodResult kept = Unpack(record->response());
  if (!kept.ok()) return kept;
  if (const auto* operation = dynamic_cast<const api::Operation*>(kept->get())) {
    if (const auto* now = catalog_.operations.Find(operation->name())) {
      return MethodResult(std::make_shared<api::Operation>(now->operation()));
    }
  }
  return kept;
}

void RequestLog::Remember(const ApiCall& call, const Message& response, const Moment& now) {
  const std::string id = RequestId(*call.request);
  if (id.empty()) return;
  rec::RequestRecord record;
  record.set_request_sha256(Sha256Hex(Serialize(*call.request)));
  record.mutable_response()->PackFrom(response);
  const absl::Time expires = now.wall + options_.request_id_kept;
  *record.mutable_expire_time() = ToTimestamp(expires);
  const std::string key = Key(call, id);
  by_expiry_.emplace(expires, key);
  catalog_.requests.Insert(key, std::move(record));
}

void RequestLog::Expire(absl::Time now) {
  while (!by_expiry_.empty() &&
         (by_expiry_.begin()->first <= now ||
          static_cast<int64_t>(by_expiry_.size()) > options_.max_request_ids)) {
    catalog_.requests.Erase(by_expiry_.begin()->second);
    by_expiry_.erase(by_expiry_.begin());
  }
}

}  // namespace appsup::entry
