#pragma once

#include <string>
#include <vector>

#include "entry/cli/manifest.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/message.h"

namespace appsup::cli {

// What `apply` sets of a resource: everything that an operator may write, so that what the manifest
// does not name goes back to its default; but of an app's spec those fields that another verb owns
// (run_state, replicas, restart_nonce) only where the manifest names them.
google::protobuf::FieldMask ApplyMask(const Manifest& manifest);

// `current` as it will be: with the fields of the mask as they are in `wanted`, absent ones absent.
void SetMaskedFields(const google::protobuf::FieldMask& mask,
                     const google::protobuf::Message& wanted, google::protobuf::Message* current);

}  // namespace appsup::cli
