#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace appsup::entry {

// The same bytes for equal messages, whatever the order in which their maps were filled. Only
// compared with what this program wrote.
std::string Serialize(const google::protobuf::Message& message);

// Equal content. Cheaper than reflection.
bool SameContent(const google::protobuf::Message& a, const google::protobuf::Message& b);

}  // namespace appsup::entry
