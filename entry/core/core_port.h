#pragma once

#include "absl/functional/any_invocable.h"
#include "entry/core/event.h"

namespace appsup::entry {

// The door to the core thread for all that bring events. Thread-safe.
class CorePort {
 public:
  virtual ~CorePort() = default;

  // Events of one thread are handled in the order of Post. `handled` runs on the core thread when
  // the core has taken the event (or there is no core to take it): who brings many events posts the
  // next one then, so that a slow core is not buried.
  virtual void Post(Event event, absl::AnyInvocable<void()> handled = nullptr) = 0;
};

}  // namespace appsup::entry
