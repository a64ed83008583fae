#include "entry/core/order_by.h"

#include <cstdint>
#include <sstream>

#include "google/protobuf/timestamp.pb.h"

namespace appsup::entry {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMaxKeys = 8;

bool IsTime(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type() == google::protobuf::Timestamp::descriptor();
}

bool IsSortable(const FieldDescriptor& field) {
  if (field.is_repeated()) return false;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
      return true;
    default:
      return IsTime(field);
  }
}

// Big-endian, with the sign such that order of bytes is order of numbers.
std::string Bytes(int64_t number) {
  const uint64_t shifted = static_cast<uint64_t>(number) ^ (uint64_t{1} << 63);
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(shifted >> shift & 0xff);
  return bytes;
}

std::string ValueBytes(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, &field) + '\0';
    case FieldDescriptor::CPPTYPE_BOOL:
      return Bytes(reflection.GetBool(message, &field) ? 1 : 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      return Bytes(reflection.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_INT32:
      return Bytes(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return Bytes(reflection.GetInt64(message, &field));
    default: {
      const auto& time =
          static_cast<const google::protobuf::Timestamp&>(reflection.GetMessage(message, &field));
      return Bytes(time.seconds()) + Bytes(time.nanos());
    }
  }
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

}  // namespace

OrderBy::OrderBy(const std::string& text, const google::protobuf::Descriptor& type,
                 Violations& violations) {
  for (const std::string& part : Split(text, ',')) {
    std::istringstream words(part);
    std::string field, direction, rest;
    words >> field >> direction >> rest;
    Key key;
    const bool known = ResolvePath(type, Split(field, '.'), &key.path);
    key.descending = direction == "desc";
    if (!known || !IsSortable(*key.path.fields.back())) {
      violations.Add("order_by", Quoted(field) + " is no field of " + type.name() +
                                     " to sort by; use name, create_time or sort");
    } else if ((!direction.empty() && direction != "asc" && direction != "desc") || !rest.empty() ||
               keys_.size() == kMaxKeys) {
      violations.Add("order_by", Quoted(part) + " must be a field, then nothing, asc or desc");
    } else {
      keys_.push_back(std::move(key));
    }
  }
  const bool plain = keys_.size() == 1 && !keys_[0].descending &&
                     keys_[0].path.fields.size() == 1 && keys_[0].path.fields[0]->name() == "name";
  if (plain) keys_.clear();
}

std::string OrderBy::KeyOf(const Message& message) const {
  std::string all;
  for (const Key& key : keys_) {
    const Message* inner = &message;
    for (size_t at = 0; at + 1 < key.path.fields.size(); ++at) {
      inner = &inner->GetReflection()->GetMessage(*inner, key.path.fields[at]);
    }
    std::string bytes = ValueBytes(*inner, *key.path.fields.back());
    if (key.descending) {
      for (char& byte : bytes) byte = static_cast<char>(~byte);
    }
    all += bytes;
  }
  return all;
}

}  // namespace appsup::entry
