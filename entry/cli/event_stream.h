#pragma once

#include <functional>
#include <memory>

#include "entry/cli/exit_code.h"
#include "entry/cli/session.h"

namespace appsup::cli {

// Tells `on_event` of each event until it returns false. Goes on after the entry was away, without
// gap or repeat, from the last resume token.
Outcome FollowEvents(Session& session, v1::WatchEventsRequest request,
                     const std::function<bool(const v1::Event&)>& on_event);

// The resource in an event; nullptr if it has none, or one that this program does not know.
std::unique_ptr<google::protobuf::Message> ResourceOf(const v1::Event& event);

}  // namespace appsup::cli
