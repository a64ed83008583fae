#include "common/config_reader.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/status.h"

namespace appsup {
namespace {

enum class Mode { kSlow, kFast };

struct Rule {
  std::string name;
  int64_t weight = 1;
};

struct Config {
  std::string root = "/var";
  bool on = false;
  uint16_t port = 7070;
  double share = 0.5;
  absl::Duration lease = absl::Seconds(15);
  int64_t quota = 1024;
  Mode mode = Mode::kSlow;
  std::vector<std::string> hosts = {"default"};
  std::vector<std::pair<std::string, std::string>> labels;
  std::string cert;
  std::vector<Rule> rules;
  bool drop_fsync = false;
};

void BindAll(ConfigSection& top, Config& config) {
  top.String("root", &config.root);
  top.Bool("on", &config.on);
  top.Int("port", &config.port, 1, 65535);
  top.Double("share", &config.share, 0, 1);
  top.Duration("lease", &config.lease, absl::Seconds(1), absl::Hours(1));
  top.Bytes("quota", &config.quota, 1);
  top.Enum<Mode>("mode", &config.mode, {{"slow", Mode::kSlow}, {"fast", Mode::kFast}});
  top.StringList("hosts", &config.hosts);
  top.StringMap("labels", &config.labels);
  top.Section("tls", [&](ConfigSection& tls) { tls.String("cert", &config.cert); });
  top.List("rules", [&](ConfigSection& entry) {
    Rule& rule = config.rules.emplace_back();
    entry.Require("name");
    entry.String("name", &rule.name);
    entry.Int("weight", &rule.weight, 0, 10);
  });
  top.Section("unsafe",
              [&](ConfigSection& unsafe) { unsafe.Bool("drop_fsync", &config.drop_fsync); });
}

absl::StatusOr<Config> Read(const std::string& text, ConfigOptions options = {}) {
  Config config;
  absl::Status status =
      BindConfigText("test.yaml", text, options, [&](ConfigSection& top) { BindAll(top, config); });
  if (!status.ok()) return status;
  return config;
}

// The lines of the error, one for each fault.
std::vector<std::string> Faults(const std::string& text, ConfigOptions options = {}) {
  std::vector<std::string> lines;
  for (const FieldViolation& violation : GetFieldViolations(Read(text, options).status())) {
    lines.push_back(violation.description);
  }
  return lines;
}

bool HasPrefix(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

TEST_CASE("config reader: reads every kind of value") {
  auto config = Read(R"(
root: /srv/appsup
on: true
port: 8080
share: 0.25
lease: 1m30s
quota: 50MiB
mode: fast
hosts: [a, "b"]
labels:
  zone: eu
  rack: 7
tls:
  cert: x.pem
rules:
  - name: one
  - {name: two, weight: 3}
)");
  REQUIRE(config.ok());
  CHECK(config->root == "/srv/appsup");
  CHECK(config->on);
  CHECK(config->port == 8080);
  CHECK(config->share == 0.25);
  CHECK(config->lease == absl::Seconds(90));
  CHECK(config->quota == 50 << 20);
  CHECK(config->mode == Mode::kFast);
  CHECK(config->hosts == std::vector<std::string>{"a", "b"});
  CHECK(config->labels ==
        std::vector<std::pair<std::string, std::string>>{{"zone", "eu"}, {"rack", "7"}});
  CHECK(config->cert == "x.pem");
  REQUIRE(config->rules.size() == 2);
  CHECK(config->rules[0].weight == 1);
  CHECK(config->rules[1].name == "two");
}

TEST_CASE("config reader: absent keys, sections and an empty file leave the defaults") {
  for (const char* text : {"", "# nothing\n", "tls:\n", "rules:\n", "on: false"}) {
    INFO(text);
    auto config = Read(text);
    REQUIRE(config.ok());
    CHECK(config->port == 7070);
    CHECK(config->hosts == std::vector<std::string>{"default"});
  }
}

TEST_CASE("config reader: an unknown key is named with its place and what is allowed") {
  auto faults = Faults("on: true\ntls:\n  certificate: x\n");
  REQUIRE(faults.size() == 1);
  CHECK(faults[0] == "test.yaml:3:3: unknown key certificate; allowed here: cert");
}

TEST_CASE("config reader: collects all faults, by their place in the file") {
  absl::Status status = Read(R"(port: 70000
nonsense: 1
on: maybe
lease: 5
quota: 10 MB
mode: medium
share: 2
hosts: {}
tls: 5
root: [a]
rules:
  - weight: x
  - 7
labels: [1]
)")
                            .status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(ErrorReason(status) == "CONFIG_INVALID");
  auto violations = GetFieldViolations(status);
  std::vector<std::string> paths;
  for (const auto& violation : violations) paths.push_back(violation.field);
  CHECK(paths == std::vector<std::string>{"port", "nonsense", "on", "lease", "quota", "mode",
                                          "share", "hosts", "tls", "root", "rules[0].name",
                                          "rules[0].weight", "rules[1]", "labels"});
  CHECK(violations[0].description ==
        "test.yaml:1:7: port must be a whole number from 1 to 65535, is \"70000\"");
  CHECK(violations[5].description ==
        "test.yaml:6:7: mode must be one of slow, fast, is \"medium\"");
  for (const auto& violation : violations) {
    CHECK(std::string(status.message()).find(violation.description) != std::string::npos);
  }
}

TEST_CASE("config reader: a key given twice is refused, also in nested sections and maps") {
  auto faults = Faults("on: true\non: false\ntls: {cert: a, cert: b}\nlabels: {a: 1, a: 2}\n");
  REQUIRE(faults.size() == 3);
  CHECK(faults[0] == "test.yaml:2:1: key on is given twice; keep one");
  CHECK(HasPrefix(faults[1], "test.yaml:3:16:"));
  CHECK(HasPrefix(faults[2], "test.yaml:4:16:"));
}

TEST_CASE("config reader: numbers are taken whole or not at all") {
  for (const char* value : {"-1", "0", "1.5", "0x10", "80 ", "''", "65536", "1e3", "~", "", "[80]",
                            "99999999999999999999"}) {
    INFO(value);
    if (std::string(value) == "80 ") {
      CHECK(Read("port: 80 \n").ok());  // YAML strips plain scalars.
    } else {
      CHECK(Faults(std::string("port: ") + value + "\n").size() == 1);
    }
  }
}

TEST_CASE("config reader: unsafe keys need the flag") {
  const std::string text = "unsafe:\n  drop_fsync: true\n";
  auto faults = Faults(text);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].find("--unsafe") != std::string::npos);
  auto config = Read(text, {.allow_unsafe = true});
  REQUIRE(config.ok());
  CHECK(config->drop_fsync);
  CHECK(Faults("unsafe: {oops: 1}", {.allow_unsafe = true}).size() == 1);
  CHECK(Faults("x: 1").at(0).find("unsafe") == std::string::npos);
}

TEST_CASE("config reader: what is no YAML is an error with its place, never an exception") {
  for (const char* text : {"a: [1, 2", "a: b: c", "\tx: 1", "{", "\"", "a: *nowhere", "- a\n- b",
                           "just words", "? [a]\n: 1", "on: true\n---\non: false\n", "a: &x [*x]",
                           // yaml-cpp would find documents without end here.
                           " !!bi 9\n,--", "on: true\n---\n,"}) {
    INFO(text);
    auto faults = Faults(text);
    REQUIRE(faults.size() >= 1);
    CHECK(HasPrefix(faults[0], "test.yaml:"));
  }
  CHECK_FALSE(Read(std::string(5000, '[')).ok());
}

TEST_CASE("config reader: Require and Refuse let the owner of a key judge it") {
  auto bind = [](ConfigSection& top) {
    std::string a;
    top.String("a", &a);
    top.Require("b");
    if (a == "bad") top.Refuse("a", "must not be bad");
  };
  auto violations = GetFieldViolations(BindConfigText("f", "a: bad\nb: 1\n", {}, bind));
  REQUIRE(violations.size() == 2);
  CHECK(violations[0].description == "f:1:4: a must not be bad");
  CHECK(violations[1].description == "f:2:1: unknown key b; allowed here: a");
  CHECK(GetFieldViolations(BindConfigText("f", "a: ok\n", {}, bind)).at(0).field == "b");
}

TEST_CASE("config reader: a file that is not there is NOT_FOUND with its path") {
  auto config = ReadConfig<Config>("/nonexistent/appsup.yaml", {}, BindAll);
  CHECK(config.status().code() == absl::StatusCode::kNotFound);
  CHECK(config.status().ToString().find("/nonexistent/appsup.yaml") != std::string::npos);
}

}  // namespace appsup
