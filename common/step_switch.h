#pragma once

// APPSUP_STEP("name") or APPSUP_STEP(effect): a place where tests/e2e/steps_test.py can kill the
// program. Only those copies of the programs that tests/steps builds have the switch; elsewhere a
// step is no code, and its name is in no binary (tests/simulation/faults/no_trace).
#ifdef APPSUP_STEP_SWITCH

#include <typeinfo>
#include <variant>

namespace appsup {

// tests/steps/step_switch.cc says how a test arms it. Thread-safe.
class StepSwitch {
 public:
  // Counts; does not return from the chosen step.
  static void Reached(const char* step);

  // An effect of a core, about to be performed.
  template <class... Kinds>
  static void Reached(const std::variant<Kinds...>& effect) {
    std::visit([](const auto& kind) { Reached(typeid(kind)); }, effect);
  }

 private:
  static void Reached(const std::type_info& kind);
};

}  // namespace appsup

#define APPSUP_STEP(step) ::appsup::StepSwitch::Reached(step)
#else
#define APPSUP_STEP(step) static_cast<void>(0)
#endif
