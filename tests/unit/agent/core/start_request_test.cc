#include "agent/core/start_request.h"

#include <catch2/catch.hpp>

#include "agent/core/sentence.h"
#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

struct Fixture {
  Fixture() {
    options.instances_dir = "/i";
    options.data_dir = "/d";
    options.log_dir = "/l";
    options.address = "10.0.0.5";
    options.listen_address = "0.0.0.0";
    *record.mutable_assignment() = RunAssignment("u1");
    record.set_attempt(4);
  }
  api::AppSpec& spec() { return *record.mutable_assignment()->mutable_spec(); }
  StartRequest Make() const { return MakeStartRequest(options, "n1", record); }
  std::string Env(const std::string& name) const {
    const auto env = AppEnvironment(options, "n1", record);
    const auto it = env.find(name);
    return it == env.end() ? "(none)" : it->second;
  }

  CoreOptions options;
  appsupervisor::agent::v1::InstanceRecord record;
};

TEST_CASE("start request: identity, ports and folders are in the environment") {
  Fixture f;
  f.spec().add_ports()->set_name("http");
  f.spec().add_ports()->set_name("admin-api");
  (*f.record.mutable_ports())["http"] = 20001;
  (*f.record.mutable_ports())["admin-api"] = 20002;
  f.spec().mutable_data()->set_kind(api::DATA_KIND_NODE);
  CHECK(f.Env("PORT") == "20001");
  CHECK(f.Env("PORT_HTTP") == "20001");
  CHECK(f.Env("PORT_ADMIN_API") == "20002");
  CHECK(f.Env("APPSUP_APP") == "web");
  CHECK(f.Env("APPSUP_PROJECT") == "default");
  CHECK(f.Env("APPSUP_INSTANCE") == "u1");
  CHECK(f.Env("APPSUP_SLOT") == "0");
  CHECK(f.Env("APPSUP_REVISION") == "3");
  CHECK(f.Env("APPSUP_ENVIRONMENT") == "eu");
  CHECK(f.Env("APPSUP_NODE") == "n1");
  CHECK(f.Env("APPSUP_ADDRESS") == "10.0.0.5");
  CHECK(f.Env("APPSUP_DATA_DIR") == "/d/app1/eu-0");
  CHECK(f.Env("HOST") == "0.0.0.0");
  CHECK(f.Env("HOME") == "/i/u1");
  CHECK(f.Env("PATH").find("/usr/bin") != std::string::npos);
}

TEST_CASE("start request: the app's own variables win, but not over APPSUP_*") {
  Fixture f;
  (*f.spec().mutable_env())["PATH"] = "/mine";
  (*f.spec().mutable_env())["APPSUP_NODE"] = "elsewhere";
  CHECK(f.Env("PATH") == "/mine");
  CHECK(f.Env("APPSUP_NODE") == "n1");
}

TEST_CASE("start request: the working folder") {
  Fixture f;
  CHECK(f.Make().working_dir == "/i/u1");
  f.record.set_artifact_folder("/cache/abc");
  CHECK(f.Make().working_dir == "/cache/abc");
  f.spec().mutable_runtime()->mutable_process()->set_working_dir("app/bin");
  CHECK(f.Make().working_dir == "/cache/abc/app/bin");
  f.spec().mutable_runtime()->mutable_process()->set_working_dir("/srv");
  CHECK(f.Make().working_dir == "/srv");
}

TEST_CASE("start request: logs have one file per attempt and stream") {
  Fixture f;
  CHECK(f.Make().stdout_path == "/l/u1/4.stdout");
  CHECK(f.Make().stderr_path == "/l/u1/4.stderr");
  CHECK(f.Make().id == ProcessId{"u1", ProcessKind::kMain, 4});
}

TEST_CASE("start request: shared data lies below its path") {
  Fixture f;
  f.spec().mutable_data()->set_kind(api::DATA_KIND_SHARED);
  f.spec().mutable_data()->set_path("/mnt/nfs");
  CHECK(f.Env("APPSUP_DATA_DIR") == "/mnt/nfs/app1/eu-0");
}

TEST_CASE("sentence: exits and signals") {
  api::Exit exit;
  CHECK(ExitSentence(exit) == "exited with code 0");
  exit.set_code(3);
  CHECK(ExitSentence(exit) == "exited with code 3");
  exit.set_signal(9);
  CHECK(ExitSentence(exit) == "was ended by SIGKILL");
  exit.set_out_of_memory(true);
  CHECK(ExitSentence(exit) == "was killed by the kernel for memory");
  exit.set_unknown(true);
  CHECK(ExitSentence(exit) == "ended; its exit code is unknown");
  CHECK(SignalNumber("") == 15);
  CHECK(SignalNumber("SIGINT") == 2);
  CHECK(SignalNumber("int") == 2);
  CHECK(SignalNumber("10") == 10);
  CHECK(SignalNumber("65") == 0);
  CHECK(SignalNumber("SIGNOPE") == 0);
}

}  // namespace
}  // namespace appsup::agent
