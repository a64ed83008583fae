#include "entry/core/update_mask.h"

#include <memory>
#include <vector>

#include "fmt/format.h"

namespace appsup::entry {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

using Path = std::vector<const FieldDescriptor*>;

// A message that is one value to its users.
bool IsLeaf(const FieldDescriptor& field) {
  return field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field.is_repeated() ||
         field.message_type()->full_name().starts_with("google.protobuf.");
}

bool ReadPath(const Descriptor* type, const std::string& text, Path* path) {
  size_t begin = 0;
  while (true) {
    const size_t dot = text.find('.', begin);
    const FieldDescriptor* field =
        type == nullptr ? nullptr : type->FindFieldByName(text.substr(begin, dot - begin));
    if (field == nullptr) return false;
    path->push_back(field);
    if (dot == std::string::npos) return true;
    type = IsLeaf(*field) ? nullptr : field->message_type();
    begin = dot + 1;
  }
}

// Takes one field out of `source`, set or not.
void Take(const FieldDescriptor* field, Message* source, Message* target) {
  target->GetReflection()->SwapFields(source, target, {field});
}

void TakePath(const Path& path, size_t depth, Message* source, Message* target) {
  const FieldDescriptor* field = path[depth];
  if (depth + 1 == path.size()) return Take(field, source, target);
  const auto* reflection = target->GetReflection();
  if (!reflection->HasField(*source, field) && !reflection->HasField(*target, field)) return;
  TakePath(path, depth + 1, reflection->MutableMessage(source, field),
           reflection->MutableMessage(target, field));
}

void TakePopulated(Message* source, Message* target) {
  const auto* reflection = source->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*source, &fields);
  for (const FieldDescriptor* field : fields) {
    if (IsLeaf(*field)) {
      Take(field, source, target);
    } else {
      TakePopulated(reflection->MutableMessage(source, field),
                    reflection->MutableMessage(target, field));
    }
  }
}

}  // namespace

void ApplyUpdateMask(const google::protobuf::FieldMask& mask, const Message& source,
                     const std::set<std::string>& writable, Message* target,
                     Violations& violations) {
  std::unique_ptr<Message> copy(source.New());
  copy->CopyFrom(source);
  const Descriptor& type = *source.GetDescriptor();
  if (mask.paths().empty()) {
    for (int at = 0; at < type.field_count(); ++at) {
      const FieldDescriptor* field = type.field(at);
      if (!writable.contains(field->name())) copy->GetReflection()->ClearField(copy.get(), field);
    }
    return TakePopulated(copy.get(), target);
  }
  if (mask.paths_size() == 1 && mask.paths(0) == "*") {
    for (const std::string& name : writable) {
      Take(type.FindFieldByName(name), copy.get(), target);
    }
    return;
  }
  std::vector<Path> paths;
  for (int at = 0; at < mask.paths_size(); ++at) {
    Path path;
    if (!ReadPath(&type, mask.paths(at), &path)) {
      violations.Add("update_mask", Quoted(mask.paths(at)) + " is no field of " + type.name() +
                                        "; name fields such as spec.replicas, or * for all");
    } else if (writable.contains(path.front()->name())) {
      paths.push_back(std::move(path));
    }
  }
  if (!violations.empty()) return;
  for (const Path& path : paths) TakePath(path, 0, copy.get(), target);
}

}  // namespace appsup::entry
