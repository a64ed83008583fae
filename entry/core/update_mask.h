#pragma once

#include <set>
#include <string>

#include "entry/core/violations.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/message.h"

namespace appsup::entry {

// Carries fields of `source` over to `target`, of the same type, as AIP-134 says:
//   no paths  all fields that are set in `source`, inner ones one by one; lists and maps as a whole
//   "*"       all fields; what `source` leaves out is lost
//   paths     these; what `source` leaves out is cleared. A path that does not exist, or leads into
//             a list or map, is a violation of "update_mask"
// Only fields that begin with a name in `writable` change; others, which are output only or
// identify the resource, are passed over. Changes `target` only if nothing was wrong.
void ApplyUpdateMask(const google::protobuf::FieldMask& mask,
                     const google::protobuf::Message& source, const std::set<std::string>& writable,
                     google::protobuf::Message* target, Violations& violations);

}  // namespace appsup::entry
