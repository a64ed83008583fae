#include "entry/cli/manifest.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "appsupervisor/v1/app.pb.h"
#include "appsupervisor/v1/environment.pb.h"
#include "common/status.h"

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;

absl::StatusOr<std::vector<Manifest>> Read(const std::string& text) {
  return ReadManifests({{"a.yaml", text}}, "default");
}

v1::App ReadApp(const std::string& text) {
  const absl::StatusOr<std::vector<Manifest>> manifests = Read(text);
  INFO(manifests.status().ToString());
  REQUIRE(manifests.ok());
  REQUIRE(manifests->size() == 1);
  return static_cast<const v1::App&>(*manifests->front().resource);
}

// "3:5: what", for each fault.
std::vector<std::string> FaultsIn(const std::string& text) {
  const absl::Status status = Read(text).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  std::vector<std::string> faults;
  for (const FieldViolation& violation : GetFieldViolations(status)) {
    CHECK(violation.field.rfind("a.yaml", 0) == 0);
    const size_t colon = violation.field.find(':');
    faults.push_back(violation.field.substr(colon + 1) + ": " + violation.description);
  }
  return faults;
}

std::string WithSpec(const std::string& line) {
  return "kind: App\nname: crm\nspec:\n  " + line + "\n";
}

TEST_CASE("manifest: the example of the API's description is read as it is meant") {
  const v1::App app = ReadApp(R"(
kind: App
name: crm
labels: {tier: gold, customer: acme}
spec:
  artifact: {uri: "https://files.example/crm-2.3.tgz", sha256: 9f}
  runtime: {process: {command: [node, server.js]}}
  placement: {environments: [eu]}
  resources: {cpu: 500m, memory: 512Mi}
  ports: [{name: http}]
  checks: {readiness: {http: {port: http, path: /health}, period: 5s}}
  env: {WORKERS: 4, DEBUG: true}
  data: NODE
)");
  CHECK(app.name() == "projects/default/apps/crm");
  CHECK(app.labels().at("customer") == "acme");
  const v1::AppSpec& spec = app.spec();
  CHECK(spec.artifact().uri() == "https://files.example/crm-2.3.tgz");
  CHECK(spec.runtime().process().command(1) == "server.js");
  CHECK(spec.placement().environments(0) == "eu");
  CHECK(spec.resources().cpu_millis().reserve() == 500);
  CHECK(spec.resources().cpu_millis().limit() == 500);
  CHECK(spec.resources().memory_bytes().limit() == 512 << 20);
  CHECK(spec.ports(0).name() == "http");
  CHECK(spec.checks().readiness().http().path() == "/health");
  CHECK(spec.checks().readiness().period().seconds() == 5);
  CHECK(spec.env().at("WORKERS") == "4");
  CHECK(spec.env().at("DEBUG") == "true");
  CHECK(spec.data().kind() == v1::DATA_KIND_NODE);
}

TEST_CASE("manifest: amounts may say reserve and limit apart, with the unit of their key") {
  const v1::AppSpec spec =
      ReadApp(WithSpec("resources: {cpu: {reserve: 250m, limit: 1}, memory_bytes: 1G, pids: 64}"))
          .spec();
  CHECK(spec.resources().cpu_millis().reserve() == 250);
  CHECK(spec.resources().cpu_millis().limit() == 1000);
  CHECK(spec.resources().memory_bytes().reserve() == 1'000'000'000);
  CHECK(spec.resources().pids().limit() == 64);
  CHECK(ReadApp(WithSpec("resources: {cpu_millis: {reserve: 250}}"))
            .spec()
            .resources()
            .cpu_millis()
            .reserve() == 250);
}

TEST_CASE("manifest: enum words are taken short, long and in any case") {
  for (const char* word : {"STOPPED", "stopped", "RUN_STATE_STOPPED", "\"STOPPED\""}) {
    INFO(word);
    CHECK(ReadApp(WithSpec(std::string("run_state: ") + word)).spec().run_state() ==
          v1::RUN_STATE_STOPPED);
  }
}

TEST_CASE("manifest: replicas of 0 are named, absent ones are not") {
  const v1::App app = ReadApp(WithSpec("replicas: 0"));
  CHECK(app.spec().has_replicas());
  CHECK_FALSE(ReadApp(WithSpec("env: {A: b}")).spec().has_replicas());
}

TEST_CASE("manifest: a section whose lines are all taken out is absent") {
  CHECK_FALSE(ReadApp(WithSpec("resources:")).spec().has_resources());
}

TEST_CASE("manifest: several documents and kinds are read, empty ones are passed over") {
  const auto manifests = Read(
      "---\nkind: Environment\nname: eu\nallowed_projects: [shop]\n---\n---\nkind: App\n"
      "name: projects/shop/apps/web\n");
  REQUIRE(manifests.ok());
  REQUIRE(manifests->size() == 2);
  CHECK((*manifests)[0].name() == "environments/eu");
  CHECK(static_cast<const v1::Environment&>(*(*manifests)[0].resource).allowed_projects(0) ==
        "shop");
  CHECK((*manifests)[1].name() == "projects/shop/apps/web");
  CHECK((*manifests)[1].place.line == 7);
}

TEST_CASE("manifest: what the system sets is read and dropped") {
  const v1::App app = ReadApp(
      "kind: App\nname: crm\nuid: abc\ngeneration: 7\ncreate_time: \"2026-01-01T00:00:00Z\"\n"
      "status: {state: RUNNING, anything: [1, 2]}\n");
  CHECK(app.uid().empty());
  CHECK_FALSE(app.has_status());
}

TEST_CASE("manifest: a local artifact is kept for pushing") {
  const auto manifests = Read(WithSpec("artifact: {file: ./crm, unpack: ARCHIVE}"));
  REQUIRE(manifests.ok());
  CHECK(manifests->front().artifact_file == "./crm");
}

TEST_CASE("manifest: each fault is told with its place and what is allowed") {
  struct Case {
    std::string text;
    std::string fault;  // How it begins.
  };
  const std::vector<Case> cases = {
      {"name: crm\n",
       "1:1: kind is missing; it says what this document is: App, Environment, Node"},
      {"kind: app\nname: crm\n",
       "1:7: kind \"app\" cannot be applied; did you mean App?; allowed:"},
      {"kind: Instance\nname: x\n", "1:7: kind \"Instance\" cannot be applied"},
      {"kind: Secret\nname: x\n", "1:7: kind Secret is not in this release"},
      {"kind: App\nspec: {}\n", "1:1: name is missing"},
      {"kind: App\nname: Crm!\n", "2:7: name \"Crm!\" is no valid name; allowed: lower-case"},
      {"- kind: App\n", "1:1: a document must be a mapping"},
      {"kind: App\nname: crm\nlables: {a: b}\n",
       "3:1: unknown key lables; did you mean labels?; "
       "allowed here: name, display_name"},
      {WithSpec("replica: 2"),
       "4:3: unknown key spec.replica; did you mean replicas?; allowed in "
       "spec: run_state, replicas"},
      {WithSpec("runState: STOPPED"), "4:3: unknown key spec.runState; did you mean run_state?"},
      {WithSpec("secrets: {A: b}"), "4:3: spec.secrets is not in this release"},
      {WithSpec("runtime: {container: {}}"), "4:13: spec.runtime.container is not in this release"},
      {WithSpec("checks: {liveness: {}}"), "4:12: spec.checks.liveness is not in this release"},
      {WithSpec("env: {A: 1}\n  env: {B: 2}"), "5:3: key spec.env is given twice, first in line 4"},
      {WithSpec("env: {A: 1, A: 2}"), "4:15: key spec.env.A is given twice"},
      {WithSpec("replicas: many"),
       "4:13: spec.replicas must be a whole number from -2147483648 to "
       "2147483647, is \"many\""},
      {WithSpec("replicas: 99999999999"), "4:13: spec.replicas must be a whole number"},
      {WithSpec("replicas: \"2\""),
       "4:13: spec.replicas must be a whole number from -2147483648 to "
       "2147483647, is the text \"2\""},
      {WithSpec("env: [A]"), "4:8: spec.env must be a mapping of names to texts, is a list"},
      {WithSpec("env: {A: [1]}"), "4:12: spec.env.A must be a text, is a list"},
      {WithSpec("env: {A: }"), "4:12: spec.env.A has no value; write \"\" for an empty text"},
      {WithSpec("ports: http"), "4:10: spec.ports must be a list of mappings, is \"http\""},
      {WithSpec("ports: [http]"),
       "4:11: spec.ports[0] must be a mapping with name, number, protocol"},
      {WithSpec("runtime: {process: {command: run.sh}}"),
       "4:32: spec.runtime.process.command must be a list of texts, such as [a, b], is \"run.sh\""},
      {WithSpec("runtime: python3"), "4:12: spec.runtime must be a mapping with process"},
      {WithSpec("run_state: STOPED"),
       "4:14: spec.run_state must be one of RUNNING, STOPPED, is "
       "\"STOPED\"; did you mean STOPPED?"},
      {WithSpec("run_state: UNSPECIFIED"), "4:14: spec.run_state must be one of RUNNING, STOPPED"},
      {WithSpec("data: LOCAL"), "4:9: spec.data must be one of NONE, NODE, SHARED, is \"LOCAL\""},
      {WithSpec("artifact: {uri: a, blob: b}"),
       "4:22: spec.artifact.blob is a second choice beside the one in line 4; keep one"},
      {WithSpec("artifact: {blob: a, file: b}"), "4:23: spec.artifact.file is a second choice"},
      {WithSpec("resources: {cpu: 1, cpu_millis: 5}"),
       "4:23: spec.resources.cpu_millis is a second choice"},
      {WithSpec("checks: {readiness: {tcp: {}, exec: {}}}"),
       "4:33: spec.checks.readiness.exec is a second choice"},
      {WithSpec("stop: {grace_period: 30}"),
       "4:24: spec.stop.grace_period must be a duration such as 500ms, 90s or 1h30m, is \"30\""},
      {WithSpec("resources: {memory: lots}"),
       "4:23: spec.resources.memory_bytes must be a size such as 512Mi"},
      {WithSpec("resources: {cpu: 2x}"),
       "4:20: spec.resources.cpu_millis must be an amount of CPU such as 2, 0.5 or 500m"},
      {WithSpec("setup: {retry_safe: \"true\"}"),
       "4:23: spec.setup.retry_safe must be true or false, is the text \"true\""},
      {"kind: App\nname: crm\n---\nkind: App\nname: crm\n",
       "4:1: App projects/default/apps/crm is given already at a.yaml:1:1; keep one"},
  };
  for (const Case& one : cases) {
    INFO(one.text);
    const std::vector<std::string> faults = FaultsIn(one.text);
    REQUIRE(faults.size() == 1);
    CHECK(faults.front().substr(0, one.fault.size()) == one.fault);
  }
}

TEST_CASE("manifest: syntax that is no YAML is a fault with its place") {
  const std::vector<std::string> faults = FaultsIn("kind: App\nname: [crm\n");
  REQUIRE(faults.size() == 1);
  CHECK(faults.front().find("not valid YAML") != std::string::npos);
}

TEST_CASE("manifest: an empty file is a fault") {
  const std::vector<std::string> faults = FaultsIn("# nothing\n");
  REQUIRE(faults.size() == 1);
  CHECK(faults.front().find("holds no document") != std::string::npos);
}

TEST_CASE("manifest: all faults of all files are told at once, in their order") {
  const absl::Status status =
      ReadManifests({{"b.yaml", "kind: App\nname: x\nspec:\n  replicas: a\n  nothing: 1\n"},
                     {"a.yaml", "kind: Nod\n"}},
                    "default")
          .status();
  const std::vector<FieldViolation> violations = GetFieldViolations(status);
  REQUIRE(violations.size() == 3);
  CHECK(violations[0].field == "b.yaml:4:13");
  CHECK(violations[1].field == "b.yaml:5:3");
  CHECK(violations[2].field == "a.yaml:1:7");
  CHECK(std::string(status.message()).find("3 faults") != std::string::npos);
}

TEST_CASE("manifest: a field that the entry refuses is found in the file") {
  const auto manifests = Read(
      "kind: App\nname: crm\nspec:\n  env:\n    A: b\n  ports:\n    - name: http\n      number: "
      "1\n");
  REQUIRE(manifests.ok());
  const Manifest& manifest = manifests->front();
  CHECK(manifest.PlaceOf("app.spec.ports[0].number").line == 8);
  CHECK(manifest.PlaceOf("app.spec.ports[0].protocol").line == 7);
  CHECK(manifest.PlaceOf("app.spec.env.A").line == 5);
  CHECK(manifest.PlaceOf("app.spec.runtime").line == 3);
  CHECK(manifest.PlaceOf("parent").line == 1);
}

}  // namespace
}  // namespace appsup::cli
