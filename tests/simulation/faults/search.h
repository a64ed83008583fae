#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "tests/simulation/faults/planted.h"
#include "tests/simulation/isolated_run.h"

namespace appsup::simulation {

// The first of these seeds with which the fault breaks one of the promises of its row, and without
// which the seed breaks none. `other` is told of what else was seen. The fault is off afterwards.
std::optional<Outcome> Search(planted::Fault fault, uint64_t first, uint64_t last, int jobs,
                              const std::function<void(const Outcome&)>& other);

}  // namespace appsup::simulation
