#include "entry/core/page.h"

#include <algorithm>
#include <memory>

#include "common/digest.h"
#include "common/resource_name.h"
#include "entry/core/sealed_token.h"
#include "entry/core/serialize.h"

namespace appsup::entry {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 1000;
constexpr size_t kDigestLength = 16;

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const FieldDescriptor* Field(const Message& request, const char* name) {
  return request.GetDescriptor()->FindFieldByName(name);
}

std::string StringField(const Message& request, const char* name) {
  const FieldDescriptor* field = Field(request, name);
  return field == nullptr ? "" : request.GetReflection()->GetString(request, field);
}

}  // namespace

ListQuery::ListQuery(const CallContext& context, const google::protobuf::Descriptor& type,
                     Violations& violations)
    : context_(context) {
  const Message& request = *context.call.request;
  const int size = request.GetReflection()->GetInt32(request, Field(request, "page_size"));
  if (size < 0) violations.Add("page_size", "must not be less than 0; leave it out for 50");
  size_ = static_cast<size_t>(std::clamp(size == 0 ? kDefaultPage : size, 1, kMaxPage));
  ReadFilter(type, violations);
  const std::string token = StringField(request, "page_token");
  if (token.empty()) return;
  std::optional<std::string> payload = OpenToken(context.catalog, "page", token);
  if (!payload.has_value() || payload->substr(0, kDigestLength) != Digest()) {
    violations.Add("page_token", payload.has_value()
                                     ? "belongs to a request with other arguments; repeat them, or "
                                       "begin without a token"
                                     : "was not made by this server; begin without a token");
    return;
  }
  cursor_ = payload->substr(kDigestLength);
}

void ListQuery::ReadFilter(const google::protobuf::Descriptor& type, Violations& violations) {
  absl::StatusOr<Filter> filter = Filter::Parse(StringField(*context_.call.request, "filter"));
  absl::Status status = filter.ok() ? filter->Check(type) : filter.status();
  if (!status.ok()) {
    violations.Add("filter", std::string(status.message()));
  } else {
    filter_ = *std::move(filter);
  }
}

std::string ListQuery::Digest() const {
  std::unique_ptr<Message> rest(context_.call.request->New());
  rest->CopyFrom(*context_.call.request);
  for (const char* name : {"page_token", "page_size"}) {
    rest->GetReflection()->ClearField(rest.get(), Field(*rest, name));
  }
  return Sha256Hex(context_.call.method + "|" + context_.call.principal.project + "|" +
                   Serialize(*rest))
      .substr(0, kDigestLength);
}

std::string ListQuery::NextToken(const std::string& cursor) const {
  return SealToken(context_.catalog, "page", Digest() + cursor);
}

absl::Status ParseParent(const std::string& field, const std::string& pattern,
                         const std::string& name, std::vector<std::string>* ids) {
  // A '-' stands for any id; for the check of the form it is replaced by one.
  std::string checked;
  std::vector<bool> any;
  size_t begin = 0;
  while (begin <= name.size()) {
    const size_t slash = std::min(name.find('/', begin), name.size());
    const std::string segment = name.substr(begin, slash - begin);
    any.push_back(segment == "-");
    checked += (begin == 0 ? "" : "/") + (segment == "-" ? std::string("any") : segment);
    begin = slash + 1;
  }
  if (absl::Status status = ParseName(field, pattern, checked, ids); !status.ok()) {
    return ParseName(field, pattern, name, ids);  // With what was really said.
  }
  for (size_t at = 0; at < ids->size(); ++at) {
    if (any[2 * at + 1]) (*ids)[at] = "-";
  }
  return absl::OkStatus();
}

}  // namespace appsup::entry
