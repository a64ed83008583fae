#pragma once

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace appsup::entry {

// INVALID_ARGUMENT, with a violation per place, if the request has fields that this version does
// not know: a newer client asked for something that would silently not happen.
absl::Status CheckFieldsKnown(const google::protobuf::Message& request);

}  // namespace appsup::entry
