#include <catch2/catch.hpp>
#include <string>

#include "entry/cli/app_text.h"
#include "entry/cli/text_diff.h"
#include "entry/cli/text_table.h"
#include "entry/cli/time_text.h"

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;

TEST_CASE("table: columns are aligned by characters, without trailing blanks") {
  TextTable table({"NAME", "STATE", "MESSAGE"}, false, 0);
  table.Add({"crm", "RUNNING", ""});
  table.Add({"größer", "FAILED", "no\nroom"});
  CHECK(table.Text() ==
        "NAME    STATE    MESSAGE\n"
        "crm     RUNNING\n"
        "größer  FAILED   no room\n");
}

TEST_CASE("table: the last column is cut at the terminal's width") {
  TextTable table({"NAME", "MESSAGE"}, false, 30);
  table.Add({"crm", "a message that is much longer than the terminal"});
  CHECK(table.Text() == "NAME  MESSAGE\ncrm   a message that is much …\n");
}

TEST_CASE("table: a row that is added while watching keeps the columns") {
  TextTable table({"NAME", "STATE"}, false, 0);
  table.Add({"crm-long", "RUNNING"});
  CHECK(table.RowText({"a", "STOPPED"}) == "a         STOPPED\n");
}

TEST_CASE("table: colours do not count as width") {
  TextTable table({"A", "B"}, true, 0);
  table.Add({{"x", Shade::kGood}, "y"});
  CHECK(table.Text() == "\x1b[2mA\x1b[0m  \x1b[2mB\x1b[0m\n\x1b[32mx\x1b[0m  y\n");
}

TEST_CASE("table: escape codes in a cell do not reach the terminal") {
  CHECK(OneLine("a\x1b[31mb\r\n") == "a [31mb  ");
}

TEST_CASE("age: has one or two units, the smaller only where it matters") {
  const absl::Time now = absl::FromUnixSeconds(10'000'000);
  const auto age = [&](absl::Duration since) { return AgeText(now, now - since); };
  CHECK(age(absl::Seconds(4)) == "4s");
  CHECK(age(absl::Seconds(119)) == "119s");
  CHECK(age(absl::Seconds(200)) == "3m20s");
  CHECK(age(absl::Minutes(30) + absl::Seconds(5)) == "30m");
  CHECK(age(absl::Hours(5) + absl::Minutes(2)) == "5h2m");
  CHECK(age(absl::Hours(24 * 12)) == "12d");
  CHECK(age(absl::Hours(24 * 3 + 4)) == "3d4h");
  CHECK(age(-absl::Seconds(5)) == "0s");
  CHECK(AgeText(now, google::protobuf::Timestamp()) == "-");
}

TEST_CASE("size: is rounded for people") {
  CHECK(SizeText(0) == "0 B");
  CHECK(SizeText(512 << 20) == "512 MiB");
  CHECK(SizeText(1536) == "1.5 KiB");
  CHECK(SizeText(123'456'789) == "118 MiB");
}

TEST_CASE("diff: equal texts have none") { CHECK(UnifiedDiff("a", "x\n", "b", "x\n").empty()); }

TEST_CASE("diff: shows changes with three lines around them") {
  const std::string before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
  const std::string after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
  CHECK(UnifiedDiff("old", before, "new", after) ==
        "--- old\n+++ new\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("diff: distant changes get hunks of their own, a new text counts from 0") {
  std::string before;
  for (int i = 0; i < 30; ++i) before += std::to_string(i) + "\n";
  std::string after = "first\n" + before + "last\n";
  const std::string diff = UnifiedDiff("old", before, "new", after);
  CHECK(diff.find("@@ -1,3 +1,4 @@\n+first\n 0\n") != std::string::npos);
  CHECK(diff.find("@@ -28,3 +29,4 @@\n 27\n 28\n 29\n+last\n") != std::string::npos);
  CHECK(UnifiedDiff("/dev/null", "", "new", "a\n") ==
        "--- /dev/null\n+++ new\n@@ -0,0 +1,1 @@\n+a\n");
}

TEST_CASE("url: the port http comes first, then any") {
  v1::App app;
  CHECK(UrlOf(app).empty());
  v1::Endpoint& admin = *app.mutable_status()->add_endpoints();
  admin.set_port("admin");
  admin.set_address("10.0.0.1:1");
  CHECK(UrlOf(app) == "http://10.0.0.1:1");
  v1::Endpoint& http = *app.mutable_status()->add_endpoints();
  http.set_port("http");
  http.set_address("10.0.0.1:2");
  CHECK(UrlOf(app) == "http://10.0.0.1:2");
}

TEST_CASE("reason: the condition nearest to the cause, or the last failure and the next try") {
  v1::App app;
  v1::AppStatus& status = *app.mutable_status();
  status.set_state(v1::APP_STATE_PENDING);
  for (const char* type : {"Ready", "Placed"}) {
    v1::Condition& condition = *status.add_conditions();
    condition.set_type(type);
    condition.set_status(v1::CONDITION_STATUS_FALSE);
    condition.set_message(std::string("because of ") + type);
  }
  CHECK(ReasonOf(app, absl::UnixEpoch()) == "because of Placed");
  status.set_state(v1::APP_STATE_BACKING_OFF);
  status.mutable_last_failure()->set_reason("it ended with exit code 3");
  status.mutable_next_attempt_time()->set_seconds(12);
  CHECK(ReasonOf(app, absl::UnixEpoch()) == "it ended with exit code 3; next try in 12 s");
  status.set_state(v1::APP_STATE_RUNNING);
  CHECK(ReasonOf(app, absl::UnixEpoch()).empty());
}

TEST_CASE("exit: is told in words") {
  v1::Exit exit;
  exit.set_code(3);
  CHECK(ExitText(exit) == "exit code 3");
  exit.set_signal(9);
  CHECK(ExitText(exit) == "ended by signal 9 (SIGKILL)");
  exit.set_out_of_memory(true);
  CHECK(ExitText(exit) == "killed by the kernel: out of memory");
  exit.set_unknown(true);
  CHECK(ExitText(exit) == "ended while nobody watched; exit code unknown");
}

}  // namespace
}  // namespace appsup::cli
