#include "entry/core/status_merge.h"

#include <catch2/catch.hpp>

namespace appsup::entry {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

rec::InstanceRecord Running() {
  rec::InstanceRecord record;
  api::Instance& instance = *record.mutable_instance();
  instance.set_name("projects/p/apps/a/instances/i");
  instance.set_node("n1");
  instance.set_desired(api::DESIRED_STATE_RUN);
  instance.set_state(api::INSTANCE_STATE_RUNNING);
  instance.set_attempt(2);
  instance.set_sequence(10);
  record.set_generation(3);
  record.set_applied_generation(3);
  return record;
}

api::InstanceStatus Status(int64_t attempt, int64_t sequence) {
  api::InstanceStatus status;
  status.set_attempt(attempt);
  status.set_sequence(sequence);
  status.set_state(api::INSTANCE_STATE_RUNNING);
  status.set_generation(3);
  return status;
}

TEST_CASE("status: order is (attempt, sequence), never backwards") {
  const rec::InstanceRecord record = Running();
  CHECK(IsNews(record, Status(2, 11)));
  CHECK(IsNews(record, Status(3, 1)));
  CHECK_FALSE(IsNews(record, Status(2, 10)));
  CHECK_FALSE(IsNews(record, Status(2, 9)));
  CHECK_FALSE(IsNews(record, Status(1, 99)));
}

TEST_CASE("status: the end of a removal is news from an agent that counts anew") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus removed = Status(0, 1);
  removed.set_state(api::INSTANCE_STATE_REMOVED);
  CHECK_FALSE(IsNews(record, removed));
  record.mutable_instance()->set_desired(api::DESIRED_STATE_REMOVE);
  CHECK(IsNews(record, removed));
  MergeStatus(removed, kNow, record);
  CHECK(record.instance().attempt() == 2);
  CHECK(record.instance().sequence() == 10);
  CHECK_FALSE(IsNews(record, removed));
  removed.set_generation(2);
  record.mutable_instance()->set_state(api::INSTANCE_STATE_STOPPING);
  CHECK_FALSE(IsNews(record, removed));
}

TEST_CASE("status: a measurement alone does not concern the app") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(2, 11);
  status.mutable_usage()->set_memory_bytes(5);
  CHECK_FALSE(MergeStatus(status, kNow, record));
  CHECK(record.instance().usage().memory_bytes() == 5);
  CHECK(record.instance().sequence() == 11);
  status = Status(2, 12);
  status.set_ready(true);
  CHECK(MergeStatus(status, kNow, record));
  CHECK(record.ready_time().seconds() == 1000);
}

TEST_CASE("status: only a running instance is ready") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(2, 11);
  status.set_ready(true);
  status.set_state(api::INSTANCE_STATE_STOPPING);
  MergeStatus(status, kNow, record);
  CHECK_FALSE(record.instance().ready());
}

TEST_CASE("status: an end that nobody asked for is a failure with its last lines") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(2, 11);
  status.set_state(api::INSTANCE_STATE_STARTING);
  status.mutable_exit()->set_code(3);
  status.mutable_next_attempt_time()->set_seconds(1001);
  for (int i = 0; i < 30; ++i) status.add_log_tail("line " + std::to_string(i));
  MergeStatus(status, kNow, record);
  REQUIRE(record.has_failure());
  CHECK(record.failure().reason() == "i on n1 exited with code 3");
  REQUIRE(record.failure().log_tail_size() == 20);
  CHECK(record.failure().log_tail(19) == "line 29");
}

TEST_CASE("status: a failure says once what its agent said, and not when it is tried again") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(2, 11);
  status.set_state(api::INSTANCE_STATE_STARTING);
  status.mutable_exit()->set_code(1);
  status.mutable_next_attempt_time()->set_seconds(1001);
  status.set_message("exited with code 1; next try at 23:04:33 UTC");
  MergeStatus(status, kNow, record);
  CHECK(record.failure().reason() == "i on n1: exited with code 1");

  status.set_sequence(12);
  status.mutable_exit()->mutable_time()->set_seconds(1002);
  status.set_message(
      "crash loop: 5 exits in 5m, the last exited with code 1; next try at 23:09:33 UTC");
  MergeStatus(status, kNow, record);
  CHECK(record.failure().reason() ==
        "i on n1: crash loop: 5 exits in 5m, the last exited with code 1");
}

TEST_CASE("status: a failure that is heard of after the next start is told by its exit") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(3, 11);
  status.mutable_exit()->set_code(1);
  status.set_restarts(1);
  status.set_message("waits for the first readiness check");
  MergeStatus(status, kNow, record);
  CHECK(record.failure().reason() == "i on n1 exited with code 1");
}

TEST_CASE(
    "status: what could not be started is a failure once, without the exit of another start") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(3, 11);
  status.set_state(api::INSTANCE_STATE_STARTING);
  status.mutable_exit()->set_code(7);
  *record.mutable_instance()->mutable_exit() = status.exit();
  status.add_log_tail("last words of attempt 2");
  status.mutable_next_attempt_time()->set_seconds(1003);
  status.mutable_start_failure_time()->set_seconds(1001);
  status.set_message("could not be started: command serve not found; next try at 23:04:33 UTC");
  MergeStatus(status, kNow, record);
  CHECK(record.failure().reason() == "i on n1: could not be started: command serve not found");
  CHECK(record.failure().time().seconds() == 1001);
  CHECK_FALSE(record.failure().has_exit());
  CHECK(record.failure().log_tail().empty());

  status.set_sequence(12);
  status.clear_next_attempt_time();
  status.set_message("process is being started");
  MergeStatus(status, kNow, record);
  CHECK(record.failure().reason() == "i on n1: could not be started: command serve not found");
}

TEST_CASE("status: an end that was asked for is no failure") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(2, 11);
  status.mutable_exit()->set_signal(15);
  SECTION("restart") { status.set_state(api::INSTANCE_STATE_STARTING); }
  SECTION("stop") {
    record.mutable_instance()->set_desired(api::DESIRED_STATE_STOP);
    status.set_state(api::INSTANCE_STATE_EXITED);
  }
  SECTION("a job that is done") {
    status.mutable_exit()->set_signal(0);
    status.set_state(api::INSTANCE_STATE_EXITED);
  }
  MergeStatus(status, kNow, record);
  CHECK_FALSE(record.has_failure());
}

TEST_CASE("status: what a peer can make the catalog keep is bounded") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(2, 11);
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "ä";
  status.set_message(text);
  for (int i = 0; i < 1000; ++i) {
    status.add_endpoints()->set_address(text);
    status.add_conditions()->set_message(text);
  }
  MergeStatus(status, kNow, record);
  CHECK(record.ByteSizeLong() < 64'000);
  CHECK(record.SerializeAsString().size() > 0);
  CHECK(record.instance().message().size() % 2 == 0);  // No half character.
}

TEST_CASE("status: a condition keeps the time when it last changed") {
  rec::InstanceRecord record = Running();
  api::InstanceStatus status = Status(2, 11);
  api::Condition& condition = *status.add_conditions();
  condition.set_type("ArtifactReady");
  condition.set_status(api::CONDITION_STATUS_FALSE);
  MergeStatus(status, kNow, record);
  status.set_sequence(12);
  MergeStatus(status, kNow + absl::Seconds(5), record);
  CHECK(record.instance().conditions(0).last_transition_time().seconds() == 1000);
  status.mutable_conditions(0)->set_status(api::CONDITION_STATUS_TRUE);
  status.set_sequence(13);
  MergeStatus(status, kNow + absl::Seconds(9), record);
  CHECK(record.instance().conditions(0).last_transition_time().seconds() == 1009);
}

TEST_CASE("refusal: rejects what never ran, and leaves alone what did") {
  rec::InstanceRecord record = Running();
  api::AssignmentRefused refused;
  refused.set_generation(3);
  refused.set_message("there is no user x");
  CHECK(MergeRefusal(refused, kNow, record));
  CHECK(record.instance().state() == api::INSTANCE_STATE_RUNNING);
  CHECK(record.instance().message() == "there is no user x");
  record.mutable_instance()->set_attempt(0);
  CHECK(MergeRefusal(refused, kNow, record));
  CHECK(record.instance().state() == api::INSTANCE_STATE_REJECTED);
  refused.set_generation(2);
  CHECK_FALSE(MergeRefusal(refused, kNow, record));
}

}  // namespace
}  // namespace appsup::entry
