#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "entry/api/core_call.h"

namespace appsup::entry {

// A question of the entry itself to its core, by a method of the API. `answer` runs once, on the
// core thread mostly; it must not block. UNAVAILABLE while no core leads.
void AskCore(const CoreDoor& door, const std::string& method,
             std::shared_ptr<const google::protobuf::Message> request, const Principal& principal,
             absl::AnyInvocable<void(const absl::StatusOr<MessagePtr>&)> answer);

}  // namespace appsup::entry
