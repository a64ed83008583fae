#include "agent/keeper/state_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

namespace appsup::keeper {
namespace {

pb::ProcessState Process(const std::string& uid, int first_fd = 21) {
  pb::ProcessState process;
  process.mutable_record()->mutable_id()->set_instance_uid(uid);
  process.mutable_record()->mutable_id()->set_kind(pb::PROCESS_KIND_MAIN);
  process.mutable_record()->mutable_id()->set_attempt(3);
  process.mutable_record()->set_pid(1234);
  process.set_phase(pb::PROCESS_PHASE_RUNNING);
  process.set_pidfd(first_fd);
  process.add_logs(first_fd + 1);
  process.add_logs(first_fd + 2);
  return process;
}

pb::KeeperState State() {
  pb::KeeperState state;
  state.set_version(kStateVersion);
  state.set_program("1.2.3");
  state.set_listener(11);
  state.set_lock(12);
  *state.add_processes() = Process("one");
  *state.add_processes() = Process("two", 31);
  return state;
}

pb::Fence& Fence(pb::KeeperState& state) {
  pb::Fence& fence = *state.mutable_processes(0)->mutable_record()->mutable_fence();
  fence.set_deadline_boot_nanos(5);
  return fence;
}

// Of a memfd with that text.
absl::Status ReadingOf(const std::string& text, bool sealed = true) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  if (sealed) REQUIRE(fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
  return ReadState(fd.get()).status();
}

TEST_CASE("state: what was written is read") {
  auto fd = WriteState(State());
  REQUIRE(fd.ok());
  CHECK(write(fd->get(), "x", 1) < 0);
  auto state = ReadState(fd->get());
  INFO(state.status().ToString());
  REQUIRE(state.ok());
  CHECK(state->SerializeAsString() == State().SerializeAsString());
  CHECK(ReadState(fd->get()).ok());  // As often as one likes.
}

TEST_CASE("state: it names the file descriptors that survive the exec") {
  pb::KeeperState state = State();
  state.mutable_processes(1)->set_gate(34);
  CHECK(CarriedFds(state) == std::vector<int>{11, 12, 21, 22, 23, 31, 34, 32, 33});
  state.set_warden_socket(13);
  CHECK(CarriedFds(state)[2] == 13);
}

TEST_CASE("state: what no keeper has written is refused") {
  const std::string magic = "appsup-keeper state\n";
  for (const std::string& text : {std::string(), std::string("garbage"), magic.substr(0, 10),
                                  magic + "\xff\xff\xff", magic}) {
    CHECK(ReadingOf(text).code() == absl::StatusCode::kInvalidArgument);
  }
  std::string good = magic + State().SerializeAsString();
  CHECK(ReadingOf(good).ok());
  CHECK(ReadingOf(good, /*sealed=*/false).message().find("not sealed") != std::string::npos);
  CHECK(ReadState(-1).status().code() == absl::StatusCode::kInvalidArgument);
  UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(ReadState(file.get()).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("state: a version that this program does not know is refused by name") {
  pb::KeeperState state = State();
  state.set_version(kStateVersion + 1);
  auto fd = WriteState(state);
  REQUIRE(fd.ok());
  absl::Status status = ReadState(fd->get()).status();
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(status.message().find("written by keeper 1.2.3 in version 2") != std::string::npos);
}

TEST_CASE("state: one that contradicts itself is refused") {
  const std::vector<std::function<void(pb::KeeperState&)>> faults = {
      [](pb::KeeperState& s) { s.clear_version(); },
      [](pb::KeeperState& s) { s.clear_listener(); },
      [](pb::KeeperState& s) { s.clear_lock(); },
      [](pb::KeeperState& s) { *s.add_processes() = Process("one", 41); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->clear_record(); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->clear_phase(); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->clear_pidfd(); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->mutable_record()->clear_pid(); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->set_phase(pb::PROCESS_PHASE_STARTING); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->set_phase(pb::PROCESS_PHASE_EXITED); },
      // What a kill would take for every process, or for the keeper's own group.
      [](pb::KeeperState& s) { s.mutable_processes(0)->mutable_record()->set_pid(1LL << 32); },
      [](pb::KeeperState& s) { Fence(s).set_deadline_boot_nanos(0); },
      [](pb::KeeperState& s) { Fence(s).set_stop_before_millis(INT64_MAX); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->set_pidfd(2); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->add_logs(-1); },
      [](pb::KeeperState& s) { s.mutable_processes(0)->add_logs(s.lock()); },
      [](pb::KeeperState& s) { s.set_warden_socket(s.processes(1).logs(0)); },
  };
  for (const auto& fault : faults) {
    pb::KeeperState state = State();
    fault(state);
    auto fd = WriteState(state);
    REQUIRE(fd.ok());
    absl::Status status = ReadState(fd->get()).status();
    INFO(status.ToString());
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("state: places are the same, or a restart is asked for") {
  pb::PolicyRecord before;
  before.set_socket("/run/a.sock");
  before.set_run_dir("/run/a");
  before.set_state_dir("/var/a");
  before.set_agent_uid(7);
  before.set_use_cgroups(true);
  pb::PolicyRecord now = before;
  now.add_roots("/srv");
  now.add_users("daemon");
  now.mutable_limits()->set_pids(5);
  CHECK(CheckSamePlaces(before, now).ok());
  const std::vector<std::function<void(pb::PolicyRecord&)>> changes = {
      [](pb::PolicyRecord& p) { p.set_socket("/run/b.sock"); },
      [](pb::PolicyRecord& p) { p.set_run_dir("/run/b"); },
      [](pb::PolicyRecord& p) { p.set_state_dir("/var/b"); },
      [](pb::PolicyRecord& p) { p.set_agent_uid(8); },
      [](pb::PolicyRecord& p) { p.set_use_cgroups(false); },
  };
  for (const auto& change : changes) {
    now = before;
    change(now);
    CHECK(CheckSamePlaces(before, now).code() == absl::StatusCode::kFailedPrecondition);
  }
}

}  // namespace
}  // namespace appsup::keeper
