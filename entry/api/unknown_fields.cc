#include "entry/api/unknown_fields.h"

#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "fmt/format.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/unknown_field_set.h"

namespace appsup::entry {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMaxTold = 20;

void Find(const Message& message, const std::string& path, std::vector<FieldViolation>& found) {
  const auto* reflection = message.GetReflection();
  const google::protobuf::UnknownFieldSet& unknown = reflection->GetUnknownFields(message);
  for (int at = 0; at < unknown.field_count() && found.size() < kMaxTold; ++at) {
    found.push_back({path, fmt::format("has a field with number {} that this version does not know",
                                       unknown.field(at).number())});
  }
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string name = path.empty() ? field->name() : path + "." + field->name();
    if (!field->is_repeated()) {
      Find(reflection->GetMessage(message, field), name, found);
      continue;
    }
    const int size = reflection->FieldSize(message, field);
    for (int at = 0; at < size && !field->is_map(); ++at) {
      Find(reflection->GetRepeatedMessage(message, field, at), fmt::format("{}[{}]", name, at),
           found);
    }
  }
}

}  // namespace

absl::Status CheckFieldsKnown(const Message& request) {
  std::vector<FieldViolation> found;
  Find(request, "", found);
  if (found.empty()) return absl::OkStatus();
  const std::string where = found[0].field.empty() ? "the request" : found[0].field;
  const std::string message =
      fmt::format("{} {}; is the client newer than the entry?", where, found[0].description);
  return MakeError(absl::StatusCode::kInvalidArgument, "UNKNOWN_FIELD", message, {},
                   std::move(found));
}

}  // namespace appsup::entry
