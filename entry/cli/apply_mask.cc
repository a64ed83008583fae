#include "entry/cli/apply_mask.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "entry/cli/manifest_words.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using google::protobuf::Message;

constexpr char kSpec[] = "spec";

bool BelongsToAVerb(const std::string& spec_field) {
  static constexpr const char* kVerbs[] = {"run_state", "replicas", "restart_nonce"};
  return std::find(std::begin(kVerbs), std::end(kVerbs), spec_field) != std::end(kVerbs);
}

// Moves one field from `from` to `to`; leaves other fields of `from` alone.
void CopyField(const FieldDescriptor& field, const Message& from, Message* to) {
  to->GetReflection()->ClearField(to, &field);
  const bool set = field.is_repeated() ? from.GetReflection()->FieldSize(from, &field) > 0
                                       : from.GetReflection()->HasField(from, &field);
  if (!set) return;
  const std::unique_ptr<Message> copy(from.New());
  copy->CopyFrom(from);
  to->GetReflection()->SwapFields(to, copy.get(), {&field});
}

}  // namespace

FieldMask ApplyMask(const Manifest& manifest) {
  FieldMask mask;
  const Descriptor& type = *manifest.resource->GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.name() == "name" || field.name() == "etag" || IsOutputOnly(field)) continue;
    if (field.name() != kSpec) {
      mask.add_paths(field.name());
      continue;
    }
    const Descriptor& spec = *field.message_type();
    for (int at = 0; at < spec.field_count(); ++at) {
      const std::string path = fmt::format("{}.{}", kSpec, spec.field(at)->name());
      if (!BelongsToAVerb(spec.field(at)->name()) || manifest.Names(path)) mask.add_paths(path);
    }
  }
  return mask;
}

void SetMaskedFields(const FieldMask& mask, const Message& wanted, Message* current) {
  for (const std::string& path : mask.paths()) {
    const size_t dot = path.find('.');
    const FieldDescriptor* field = wanted.GetDescriptor()->FindFieldByName(path.substr(0, dot));
    if (field == nullptr) continue;
    if (dot == std::string::npos) {
      CopyField(*field, wanted, current);
      continue;
    }
    const Message& inner = wanted.GetReflection()->GetMessage(wanted, field);
    const FieldDescriptor* leaf = inner.GetDescriptor()->FindFieldByName(path.substr(dot + 1));
    if (leaf == nullptr) continue;
    CopyField(*leaf, inner, current->GetReflection()->MutableMessage(current, field));
  }
}

}  // namespace appsup::cli
