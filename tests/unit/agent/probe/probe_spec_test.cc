#include "agent/probe/probe_spec.h"

#include <catch2/catch.hpp>

namespace appsup::agent {
namespace {

using appsupervisor::v1::Check;

const std::map<std::string, uint16_t> kPorts = {{"http", 20001}, {"admin", 20002}};

std::string WhyNot(const Check& check) {
  const auto spec = ResolveProbe(check, "10.0.0.1", kPorts);
  REQUIRE_FALSE(spec.ok());
  return std::string(spec.status().message());
}

TEST_CASE("probe spec: names of ports are looked up and defaults filled in") {
  Check check;
  check.mutable_http()->set_port("http");
  const auto spec = ResolveProbe(check, "10.0.0.1", kPorts);
  REQUIRE(spec.ok());
  CHECK(spec->kind == ProbeKind::kHttp);
  CHECK(spec->address == "10.0.0.1");
  CHECK(spec->port == 20001);
  CHECK(spec->path == "/");
  CHECK(spec->expect.text() == "200-399");
  CHECK(spec->period == absl::Seconds(10));
  CHECK(spec->timeout == absl::Seconds(2));
  CHECK(spec->threshold.success == 1);
  CHECK(spec->threshold.failure == 3);
}

TEST_CASE("probe spec: what the check says is taken over") {
  Check check;
  check.mutable_tcp()->set_port("8080");
  check.mutable_period()->set_nanos(250'000'000);
  check.mutable_timeout()->set_seconds(7);
  check.set_success_threshold(2);
  check.set_failure_threshold(5);
  const auto spec = ResolveProbe(check, "::1", kPorts);
  REQUIRE(spec.ok());
  CHECK(spec->kind == ProbeKind::kTcp);
  CHECK(spec->port == 8080);
  CHECK(spec->period == absl::Milliseconds(250));
  CHECK(spec->timeout == absl::Seconds(7));
  CHECK(spec->threshold.success == 2);
  CHECK(spec->threshold.failure == 5);
}

TEST_CASE("probe spec: a fault names the field and the value") {
  Check check;
  CHECK(WhyNot(check) == "one of http, tcp and exec must be set");
  check.mutable_tcp()->set_port("web");
  CHECK(WhyNot(check) ==
        "port: \"web\" is neither a number from 1 to 65535 nor a port of the app; it has admin, "
        "http");
  check.mutable_tcp()->set_port("70000");
  CHECK(WhyNot(check).find("\"70000\"") != std::string::npos);
  check.mutable_tcp()->set_port("0");
  CHECK(WhyNot(check).find("\"0\"") != std::string::npos);
  check.mutable_http()->set_port("http");
  check.mutable_http()->set_path("health");
  CHECK(WhyNot(check) == "path: \"health\" does not begin with a slash");
  check.mutable_http()->set_path("/health");
  check.mutable_period()->set_nanos(1'000'000);
  CHECK(WhyNot(check) == "period: 1ms is below the least, 100ms");
  check.clear_period();
  check.mutable_timeout();
  CHECK(WhyNot(check) == "timeout: must be above 0");
  check.clear_timeout();
  check.mutable_exec();
  CHECK(WhyNot(check) == "exec.command: must not be empty");
}

}  // namespace
}  // namespace appsup::agent
