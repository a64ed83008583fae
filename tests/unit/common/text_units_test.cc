#include "common/text_units.h"

#include <catch2/catch.hpp>
#include <limits>

namespace appsup {

TEST_CASE("text units: durations are read exactly") {
  struct Case {
    const char* text;
    absl::Duration expected;
  };
  const Case cases[] = {
      {"0", absl::ZeroDuration()},        {"0s", absl::ZeroDuration()},
      {"5s", absl::Seconds(5)},           {"10m", absl::Minutes(10)},
      {"250ms", absl::Milliseconds(250)}, {"1h30m", absl::Minutes(90)},
      {"1.5s", absl::Milliseconds(1500)}, {"7d", absl::Hours(168)},
      {"3us", absl::Microseconds(3)},     {"1s1ns", absl::Nanoseconds(1000000001)},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    auto duration = ParseDuration(c.text);
    REQUIRE(duration.ok());
    CHECK(*duration == c.expected);
  }
}

TEST_CASE("text units: what is no duration is refused with the text in the message") {
  for (const char* text :
       {"", "5", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "inf", "1..5s", "1.s", ".5s", "5x", "1e3s",
        "0.0000000001s", "0.1ns", "99999999999999999999s", "999999999d"}) {
    INFO(text);
    auto duration = ParseDuration(text);
    REQUIRE(duration.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(duration.status().ToString().find("\"" + std::string(text) + "\"") != std::string::npos);
  }
}

TEST_CASE("text units: what absl prints of a duration is read back") {
  for (absl::Duration duration :
       {absl::ZeroDuration(), absl::Milliseconds(1500), absl::Hours(25), absl::Nanoseconds(17)}) {
    CHECK(ParseDuration(absl::FormatDuration(duration)).value() == duration);
  }
}

TEST_CASE("text units: sizes are read in decimal and binary units") {
  struct Case {
    const char* text;
    int64_t expected;
  };
  const Case cases[] = {
      {"0", 0},
      {"4096", 4096},
      {"1500B", 1500},
      {"1k", 1000},
      {"1K", 1000},
      {"512Mi", 512ll << 20},
      {"50MiB", 50 << 20},
      {"1G", 1000000000},
      {"1GB", 1000000000},
      {"1.5GiB", 3ll << 29},
      {"0.5Ki", 512},
      {"2TiB", 2ll << 40},
      {"1PB", 1000000000000000},
      {"9223372036854775807", std::numeric_limits<int64_t>::max()},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    auto bytes = ParseBytes(c.text);
    REQUIRE(bytes.ok());
    CHECK(*bytes == c.expected);
  }
}

TEST_CASE("text units: what is no size is refused") {
  for (const char* text : {"", "B", "-1", "1.5", "0.3B", "1 MiB", "1mib", "1M1K", "1MiBx",
                           "9223372036854775808", "9000PiB", "1.", "0x10"}) {
    INFO(text);
    CHECK(ParseBytes(text).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("text units: sizes are printed so that they are read back") {
  CHECK(FormatBytes(0) == "0B");
  CHECK(FormatBytes(1500) == "1500B");
  CHECK(FormatBytes(1536) == "1536B");
  CHECK(FormatBytes(50 << 20) == "50MiB");
  CHECK(FormatBytes(3ll << 29) == "1536MiB");
  for (int64_t bytes : {int64_t{1}, int64_t{1024}, int64_t{1025}, int64_t{1} << 52}) {
    CHECK(ParseBytes(FormatBytes(bytes)).value() == bytes);
  }
}

TEST_CASE("text units: CPU is counted in thousandths") {
  CHECK(ParseCpu("500m").value() == 500);
  CHECK(ParseCpu("2").value() == 2000);
  CHECK(ParseCpu("0.5").value() == 500);
  CHECK(ParseCpu("1.25").value() == 1250);
  for (const char* text : {"", "m", "-1", "0.0005", "1.5m", "2 cores", "1k", "500m1"}) {
    INFO(text);
    CHECK_FALSE(ParseCpu(text).ok());
  }
  CHECK(FormatCpu(500) == "500m");
  CHECK(FormatCpu(2000) == "2");
  CHECK(ParseCpu(FormatCpu(1250)).value() == 1250);
}

}  // namespace appsup
