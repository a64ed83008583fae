#include "agent/core/assignment_check.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent/core/fence.h"
#include "agent/core/sentence.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr size_t kMaxId = 128;
constexpr int kMaxPorts = 32;
constexpr int64_t kMaxKnown = int64_t{1} << 62;

absl::Status Refuse(std::string sentence) { return absl::InvalidArgumentError(sentence); }

// Uids become names of folders.
bool IsPlainId(const std::string& id) {
  return !id.empty() && id.size() <= kMaxId && id.front() != '.' &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

bool LeavesFolder(const std::string& path) {
  return path == ".." || path.starts_with("../") || path.ends_with("/..") ||
         path.find("/../") != std::string::npos;
}

absl::Status CheckPorts(const api::AppSpec& spec) {
  std::set<std::string> names;
  if (spec.ports_size() > kMaxPorts) {
    return Refuse(absl::StrCat("spec.ports: ", spec.ports_size(), " ports, at most ", kMaxPorts));
  }
  for (const api::Port& port : spec.ports()) {
    if (!names.insert(port.name()).second) {
      return Refuse(absl::StrCat("spec.ports: two ports are named '", port.name(), "'"));
    }
    if (port.number() < 0 || port.number() > 65535) {
      return Refuse(absl::StrCat("spec.ports: ", port.number(), " is no port number"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLimits(const NodeContext& node, const api::Resources& resources) {
  if (resources.enforce() != api::LIMIT_ENFORCEMENT_REQUIRED || !node.driver_up) {
    return absl::OkStatus();
  }
  const auto& enforces = node.driver.enforces;
  const auto missing = [&](const std::string& name, const api::ResourceAmount& amount) {
    return amount.limit() > 0 &&
           std::find(enforces.begin(), enforces.end(), name) == enforces.end();
  };
  for (const auto& [name, amount] : {std::pair{std::string("cpu"), resources.cpu_millis()},
                                     std::pair{std::string("memory"), resources.memory_bytes()},
                                     std::pair{std::string("pids"), resources.pids()}}) {
    if (missing(name, amount)) {
      return Refuse(
          absl::StrCat("spec.resources.enforce is REQUIRED, and this node cannot enforce ",
                       "a limit on ", name, ": ", node.driver.message));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSpec(const NodeContext& node, const api::Assignment& assignment) {
  const api::AppSpec& spec = assignment.spec();
  if (!spec.runtime().has_process()) {
    return Refuse("spec.runtime: this agent runs only `process`");
  }
  if (assignment.setup() && spec.setup().command().empty()) {
    return Refuse("spec.setup.command is empty");
  }
  if (!assignment.setup() && spec.runtime().process().command().empty()) {
    return Refuse("spec.runtime.process.command is empty");
  }
  if (LeavesFolder(spec.runtime().process().working_dir())) {
    return Refuse(absl::StrCat("spec.runtime.process.working_dir: '",
                               spec.runtime().process().working_dir(), "' must not contain '..'"));
  }
  if (SignalNumber(spec.stop().signal()) == 0) {
    return Refuse(
        absl::StrCat("spec.stop.signal: there is no signal '", spec.stop().signal(), "'"));
  }
  const std::string& shared = spec.data().path();
  if (spec.data().kind() == api::DATA_KIND_SHARED &&
      (shared.empty() || shared.front() != '/' || LeavesFolder(shared))) {
    return Refuse(absl::StrCat("spec.data.path: '", shared, "' is no absolute folder"));
  }
  if (absl::Status status = CheckPorts(spec); !status.ok()) return status;
  return CheckLimits(node, spec.resources());
}

}  // namespace

bool IsPlausible(const api::Assignment& assignment) {
  const auto plausible = [](int64_t known) { return known >= 0 && known < kMaxKnown; };
  return plausible(assignment.known_attempt()) && plausible(assignment.known_sequence());
}

absl::Status CheckAssignment(const NodeContext& node, const api::Assignment& assignment,
                             const appsupervisor::agent::v1::InstanceRecord* held) {
  if (!IsPlainId(assignment.uid())) {
    return Refuse(absl::StrCat("uid '", assignment.uid(), "' is no plain id"));
  }
  if (!IsPlausible(assignment)) {
    return Refuse(absl::StrCat("known_attempt ", assignment.known_attempt(), " or known_sequence ",
                               assignment.known_sequence(), " cannot be"));
  }
  const bool removing = held != nullptr && (held->removed() || held->assignment().desired() ==
                                                                   api::DESIRED_STATE_REMOVE);
  switch (assignment.desired()) {
    case api::DESIRED_STATE_REMOVE:
      if (!assignment.purge_data() || IsPlainId(assignment.app_uid())) return absl::OkStatus();
      return Refuse(absl::StrCat("app_uid '", assignment.app_uid(), "' is no plain id"));
    case api::DESIRED_STATE_STOP:
    case api::DESIRED_STATE_RUN:
      if (removing) return Refuse("the instance was removed; make another one");
      if (!IsPlainId(assignment.app_uid()) || !IsPlainId(assignment.environment())) {
        return Refuse("app_uid and environment must be plain ids");
      }
      if (assignment.desired() == api::DESIRED_STATE_STOP) return absl::OkStatus();
      if (assignment.fenced() && node.driver_up && !CanFence(node.driver)) {
        return Refuse(kCannotFence);
      }
      return CheckSpec(node, assignment);
    default:
      return Refuse(absl::StrCat("desired ", static_cast<int>(assignment.desired()),
                                 " is not known to this agent"));
  }
}

}  // namespace appsup::agent
