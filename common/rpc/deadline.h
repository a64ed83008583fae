#pragma once

#include <grpc/support/time.h>

#include "absl/time/time.h"

namespace appsup::rpc {

// What gRPC takes as a deadline: `span` from now on the steady clock, so that a jump of the wall
// clock neither ends a call nor keeps it waiting.
inline gpr_timespec DeadlineIn(absl::Duration span) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(absl::ToInt64Nanoseconds(span), GPR_TIMESPAN));
}

}  // namespace appsup::rpc
