#pragma once

#include <cstdint>
#include <vector>

#include "agent/core/effect.h"

namespace appsup::agent {

// Which of the ports another program uses, found out by binding each for a moment on all addresses.
// A port that may not be bound for other reasons (below 1024 without the right to) counts as free:
// the app will be told. Does not block.
std::vector<int32_t> FindBusyPorts(const std::vector<PortToCheck>& ports);

}  // namespace appsup::agent
