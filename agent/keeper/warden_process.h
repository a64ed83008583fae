#pragma once

#include <cstddef>

#include "agent/keeper/cgroup.h"
#include "agent/keeper/warden.h"

namespace appsup::keeper {

inline constexpr size_t kMovesPerPacket = 500;

// What the warden does, in a process of its own, until the other end of `socket` is closed; then it
// kills what it still guards.
void RunWarden(int socket, FencedGroups guarded, Cgroups& groups);

}  // namespace appsup::keeper
