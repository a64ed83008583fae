// The whole of `appsup` against an entry of a few methods on a unix socket.
#include "entry/cli/program.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "appsupervisor/v1/app_service.grpc.pb.h"
#include "appsupervisor/v1/artifact_service.grpc.pb.h"
#include "appsupervisor/v1/operation_service.grpc.pb.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/mutex.h"
#include "common/rpc/grpc_status.h"
#include "common/status.h"
#include "tests/support/temp_dir.h"

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;
using grpc::ServerContext;
using testing::TempDir;

constexpr char kPrefix[] = "projects/default/apps/";

// What the fake entry keeps and does. Thread-safe.
struct World {
  Mutex mutex;
  std::map<std::string, v1::App> apps ABSL_GUARDED_BY(mutex);
  std::map<std::string, v1::Operation> operations ABSL_GUARDED_BY(mutex);
  std::vector<std::string> blobs ABSL_GUARDED_BY(mutex);
  v1::UpdateAppRequest last_update ABSL_GUARDED_BY(mutex);
  v1::CreateAppRequest last_create ABSL_GUARDED_BY(mutex);
  absl::Status refuse_updates ABSL_GUARDED_BY(mutex);
  absl::Status operation_error ABSL_GUARDED_BY(mutex);
  bool operations_end ABSL_GUARDED_BY(mutex) = true;
  std::string last_filter ABSL_GUARDED_BY(mutex);
  int list_calls ABSL_GUARDED_BY(mutex) = 0;

  v1::Operation Begin(const std::string& kind, const std::string& target)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    v1::Operation operation;
    operation.set_name("projects/default/operations/op" + std::to_string(operations.size()));
    operation.set_kind(kind);
    operation.set_target(target);
    operation.mutable_progress()->set_steps(1);
    operation.mutable_progress()->set_message("waiting for a node");
    operations[operation.name()] = operation;
    return operation;
  }
};

grpc::Status Refused(const absl::Status& status) { return rpc::ToGrpcStatus(status); }

class Apps : public v1::AppService::Service {
 public:
  explicit Apps(World& world) : world_(world) {}

  grpc::Status CreateApp(ServerContext*, const v1::CreateAppRequest* request,
                         v1::Operation* answer) override {
    MutexLock lock(&world_.mutex);
    world_.last_create = *request;
    const std::string name = request->parent() + "/apps/" + request->app_id();
    if (world_.apps.contains(name)) {
      return Refused(MakeError(absl::StatusCode::kAlreadyExists, "EXISTS", name + " exists"));
    }
    v1::App& app = world_.apps[name];
    app = request->app();
    app.set_name(name);
    *answer = world_.Begin("CREATE", name);
    return grpc::Status::OK;
  }

  grpc::Status UpdateApp(ServerContext*, const v1::UpdateAppRequest* request,
                         v1::Operation* answer) override {
    MutexLock lock(&world_.mutex);
    if (!world_.refuse_updates.ok()) return Refused(world_.refuse_updates);
    if (request->validate_only()) return grpc::Status::OK;
    world_.last_update = *request;
    world_.apps[request->app().name()] = request->app();
    *answer = world_.Begin("UPDATE", request->app().name());
    return grpc::Status::OK;
  }

  grpc::Status GetApp(ServerContext*, const v1::GetAppRequest* request, v1::App* answer) override {
    MutexLock lock(&world_.mutex);
    const auto found = world_.apps.find(request->name());
    if (found == world_.apps.end()) {
      return Refused(
          MakeError(absl::StatusCode::kNotFound, "NOT_FOUND", "no app " + request->name()));
    }
    *answer = found->second;
    return grpc::Status::OK;
  }

  // Pages of two, whatever is asked for.
  grpc::Status ListApps(ServerContext*, const v1::ListAppsRequest* request,
                        v1::ListAppsResponse* answer) override {
    MutexLock lock(&world_.mutex);
    ++world_.list_calls;
    world_.last_filter = request->filter();
    for (auto app = world_.apps.upper_bound(request->page_token()); app != world_.apps.end();
         ++app) {
      if (answer->apps_size() == 2) {
        answer->set_next_page_token(answer->apps(1).name());
        return grpc::Status::OK;
      }
      *answer->add_apps() = app->second;
    }
    return grpc::Status::OK;
  }

  grpc::Status StopApp(ServerContext*, const v1::StopAppRequest* request,
                       v1::Operation* answer) override {
    MutexLock lock(&world_.mutex);
    if (!world_.apps.contains(request->name())) {
      return Refused(
          MakeError(absl::StatusCode::kNotFound, "NOT_FOUND", "no app " + request->name()));
    }
    *answer = world_.Begin("STOP", request->name());
    return grpc::Status::OK;
  }

 private:
  World& world_;
};

class Operations : public v1::OperationService::Service {
 public:
  explicit Operations(World& world) : world_(world) {}

  grpc::Status WatchOperation(ServerContext* context, const v1::WatchOperationRequest* request,
                              grpc::ServerWriter<v1::Operation>* writer) override {
    v1::Operation operation;
    bool end = true;
    {
      MutexLock lock(&world_.mutex);
      operation = world_.operations[request->name()];
      end = world_.operations_end;
    }
    writer->Write(operation);
    if (!end) {
      Mutex mutex;
      CondVar never;
      MutexLock lock(&mutex);
      while (!context->IsCancelled()) never.WaitFor(&mutex, absl::Milliseconds(5));
      return grpc::Status::CANCELLED;
    }
    MutexLock lock(&world_.mutex);
    operation.set_done(true);
    if (world_.operation_error.ok()) {
      operation.mutable_response()->PackFrom(world_.apps[operation.target()]);
    } else {
      *operation.mutable_error() = ToProto(world_.operation_error);
    }
    writer->Write(operation);
    return grpc::Status::OK;
  }

 private:
  World& world_;
};

class Artifacts : public v1::ArtifactService::Service {
 public:
  explicit Artifacts(World& world) : world_(world) {}

  grpc::Status UploadBlob(ServerContext*, grpc::ServerReader<v1::UploadBlobRequest>* reader,
                          v1::Blob* answer) override {
    v1::UploadBlobRequest request;
    Sha256 digest;
    std::string announced;
    while (reader->Read(&request)) {
      if (request.has_sha256()) announced = request.sha256();
      digest.Update(request.data());
    }
    if (digest.FinishHex() != announced) return {grpc::StatusCode::INVALID_ARGUMENT, "digest"};
    answer->set_name("blobs/" + announced);
    MutexLock lock(&world_.mutex);
    world_.blobs.push_back(announced);
    return grpc::Status::OK;
  }

 private:
  World& world_;
};

struct Result {
  int code;
  std::string out;
  std::string err;
};

// A running fake entry and the program beside it.
class Bench {
 public:
  Bench() : apps_(world), operations_(world), artifacts_(world) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(server_address(), grpc::InsecureServerCredentials());
    builder.RegisterService(&apps_);
    builder.RegisterService(&operations_);
    builder.RegisterService(&artifacts_);
    server_ = builder.BuildAndStart();
    REQUIRE(server_ != nullptr);
  }
  ~Bench() { server_->Shutdown(); }

  std::string server_address() const { return "unix:" + dir.File("api.sock"); }

  Result Run(const std::vector<std::string>& arguments, const std::string& input = "") {
    Surroundings surroundings;
    surroundings.server = server_address();
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    SystemClock clock;
    SeededRandom random(1);
    const int code = RunProgram(arguments, surroundings, in, out, err, clock, random);
    return {code, out.str(), err.str()};
  }

  void Put(const std::string& id) {
    MutexLock lock(&world.mutex);
    world.apps[kPrefix + id].set_name(kPrefix + id);
  }

  TempDir dir;
  World world;

 private:
  Apps apps_;
  Operations operations_;
  Artifacts artifacts_;
  std::unique_ptr<grpc::Server> server_;
};

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("program: run creates an app with a port and waits for it") {
  Bench bench;
  const Result result =
      bench.Run({"run", "--name", "notes", "--env", "A=b=c", "--memory", "64Mi", "--data", "node",
                 "--label", "tier=gold", "--", "python3", "-m", "http.server"});
  CHECK(result.code == 0);
  CHECK(Contains(result.out, "notes: "));
  CHECK(Contains(result.err, "$PORT was added"));
  CHECK(Contains(result.err, "notes: 0 of 1, waiting for a node\n"));
  MutexLock lock(&bench.world.mutex);
  const v1::AppSpec& spec = bench.world.last_create.app().spec();
  CHECK(bench.world.last_create.app_id() == "notes");
  CHECK_FALSE(bench.world.last_create.request_id().empty());
  CHECK(spec.ports(0).name() == "http");
  CHECK(spec.checks().readiness().tcp().port() == "http");
  CHECK(spec.env().at("A") == "b=c");
  CHECK(spec.resources().memory_bytes().reserve() == 64 << 20);
  CHECK(spec.data().kind() == v1::DATA_KIND_NODE);
  CHECK_FALSE(spec.has_replicas());
  CHECK(bench.world.last_create.app().labels().at("tier") == "gold");
}

TEST_CASE("program: run pushes a local artifact") {
  Bench bench;
  std::filesystem::create_directories(bench.dir.path() / "code");
  REQUIRE(AtomicWriteFile(bench.dir.File("code/run.sh"), "#!/bin/sh\n", 0755).ok());
  const Result result = bench.Run(
      {"run", "--name", "a", "--no-port", "--artifact", bench.dir.File("code"), "--", "./run.sh"});
  CHECK(result.code == 0);
  MutexLock lock(&bench.world.mutex);
  REQUIRE(bench.world.blobs.size() == 1);
  CHECK(bench.world.last_create.app().spec().artifact().blob() == "blobs/" + bench.world.blobs[0]);
  CHECK(bench.world.last_create.app().spec().ports_size() == 0);
}

TEST_CASE("program: run with --dry-run prints a manifest that apply takes") {
  Bench bench;
  const Result manifest = bench.Run({"run", "--name", "a", "--dry-run", "--port", "web=8080",
                                     "--health", "/ok", "--", "serve", "$PORT"});
  CHECK(manifest.code == 0);
  const Result applied = bench.Run({"apply", "-f", "-"}, manifest.out);
  INFO(manifest.out << applied.err);
  CHECK(applied.code == 0);
  MutexLock lock(&bench.world.mutex);
  CHECK(bench.world.last_update.app().spec().ports(0).number() == 8080);
  CHECK(bench.world.last_update.app().spec().checks().readiness().http().path() == "/ok");
}

TEST_CASE("program: exit codes say what kind of end it was") {
  Bench bench;
  bench.Put("there");
  const auto code = [&](const std::vector<std::string>& arguments) {
    return bench.Run(arguments).code;
  };
  CHECK(code({"get", "app", "there"}) == 0);
  CHECK(code({"get", "app", "none"}) == 3);
  CHECK(code({"get", "app", "No!"}) == 2);
  CHECK(code({"stop", "none"}) == 3);
  CHECK(code({"run", "--name", "there", "--", "true"}) == 4);
  CHECK(code({"get", "frogs"}) == 2);
  CHECK(code({"frog"}) == 2);
  CHECK(code({"scale", "there", "-1"}) == 2);
  CHECK(code({"run", "--name", "x"}) == 2);
  CHECK(code({"stop", "there", "--", "x"}) == 2);
  CHECK(code({"get", "apps", "-o", "xml"}) == 2);
  CHECK(code({"scale", "there", "1"}) == 1);  // The fake has no such method.
  CHECK(code({"--server", "unix:/nowhere/api.sock", "get", "apps"}) == 6);
  CHECK(code({"--server", "example.com:7070", "get", "apps"}) == 2);
  CHECK(code({"--token-file", "/nowhere/token", "get", "apps"}) == 3);
}

TEST_CASE("program: an operation that fails is 1 and tells the last failure") {
  Bench bench;
  bench.Put("crm");
  {
    MutexLock lock(&bench.world.mutex);
    v1::LastFailure& failure =
        *bench.world.apps[std::string(kPrefix) + "crm"].mutable_status()->mutable_last_failure();
    failure.set_reason("it ended with exit code 3");
    failure.mutable_exit()->set_code(3);
    failure.add_log_tail("no such table");
    bench.world.operation_error = absl::FailedPreconditionError("no progress for 10 min");
  }
  const Result result = bench.Run({"stop", "crm"});
  CHECK(result.code == 1);
  CHECK(Contains(result.err, "error: crm: no progress for 10 min\n"));
  CHECK(Contains(result.err, "it ended with exit code 3"));
  CHECK(Contains(result.err, "| no such table"));
}

TEST_CASE("program: a wait that takes too long is 7, and the work goes on") {
  Bench bench;
  bench.Put("crm");
  {
    MutexLock lock(&bench.world.mutex);
    bench.world.operations_end = false;
  }
  const Result result = bench.Run({"stop", "crm", "--timeout", "300ms"});
  CHECK(result.code == 7);
  CHECK(Contains(result.err, "appsup operations wait projects/default/operations/op0"));
}

TEST_CASE("program: --no-wait names the operation") {
  Bench bench;
  bench.Put("crm");
  CHECK(bench.Run({"stop", "crm", "--no-wait"}).out ==
        "crm: STOP accepted as projects/default/operations/op0\n");
  CHECK(bench.Run({"stop", "crm", "--no-wait", "-o", "name"}).out ==
        "projects/default/operations/op1\n");
}

TEST_CASE("program: of several apps one that is missing does not keep the others from it") {
  Bench bench;
  bench.Put("a");
  const Result result = bench.Run({"stop", "none", "a"});
  CHECK(result.code == 3);
  CHECK(Contains(result.out, "a: "));
}

TEST_CASE("program: get reads all pages and passes the selector on") {
  Bench bench;
  for (int i = 0; i < 5; ++i) bench.Put("app" + std::to_string(i));
  const Result result = bench.Run({"get", "apps", "-l", "tier=gold", "--filter", "state = FAILED"});
  CHECK(result.code == 0);
  for (int i = 0; i < 5; ++i) CHECK(Contains(result.out, "app" + std::to_string(i)));
  MutexLock lock(&bench.world.mutex);
  CHECK(bench.world.list_calls == 3);
  CHECK(bench.world.last_filter == "(labels.tier = \"gold\") AND (state = FAILED)");
}

TEST_CASE("program: get has names, JSON and YAML for scripts") {
  Bench bench;
  bench.Put("a");
  bench.Put("b");
  CHECK(bench.Run({"get", "apps", "-o", "name"}).out ==
        "projects/default/apps/a\nprojects/default/apps/b\n");
  CHECK(bench.Run({"get", "apps", "-o", "yaml"}).out ==
        "kind: App\nname: a\n---\nkind: App\nname: b\n");
  CHECK(Contains(bench.Run({"get", "apps", "-o", "json"}).out, "\"apps\": ["));
  CHECK(Contains(bench.Run({"get", "app", "a", "-o", "json"}).out,
                 "\"name\": \"projects/default/apps/a\""));
}

TEST_CASE("program: apply resets what is not named and leaves other verbs' fields alone") {
  Bench bench;
  const Result result =
      bench.Run({"apply", "-f", "-"}, "kind: App\nname: crm\nspec: {env: {A: 1}}\n");
  CHECK(result.code == 0);
  MutexLock lock(&bench.world.mutex);
  const auto& paths = bench.world.last_update.update_mask().paths();
  CHECK(std::find(paths.begin(), paths.end(), "spec.stop") != paths.end());
  CHECK(std::find(paths.begin(), paths.end(), "spec.replicas") == paths.end());
  CHECK(bench.world.last_update.allow_missing());
}

TEST_CASE("program: apply with --diff shows the change, then makes it") {
  Bench bench;
  REQUIRE(bench.Run({"apply", "-f", "-"}, "kind: App\nname: crm\nspec: {env: {A: 1}}\n").code == 0);
  const Result result =
      bench.Run({"apply", "-f", "-", "--diff"}, "kind: App\nname: crm\nspec: {env: {A: 2}}\n");
  CHECK(result.code == 0);
  CHECK(Contains(result.out, "-    A: \"1\"\n+    A: \"2\"\n"));
  MutexLock lock(&bench.world.mutex);
  CHECK(bench.world.apps[std::string(kPrefix) + "crm"].spec().env().at("A") == "2");
}

TEST_CASE("program: apply with --dry-run changes nothing") {
  Bench bench;
  const Result result =
      bench.Run({"apply", "-f", "-", "--diff", "--dry-run"}, "kind: App\nname: crm\n");
  CHECK(result.code == 0);
  CHECK(Contains(result.out, "--- /dev/null"));
  MutexLock lock(&bench.world.mutex);
  CHECK(bench.world.apps.empty());
}

TEST_CASE("program: apply tells the place of what the entry refuses") {
  Bench bench;
  {
    MutexLock lock(&bench.world.mutex);
    bench.world.refuse_updates =
        MakeError(absl::StatusCode::kInvalidArgument, "INVALID", "app.spec.env.A: too long", {},
                  {{"app.spec.env.A", "too long"}});
  }
  const Result result =
      bench.Run({"apply", "-f", "-"}, "kind: App\nname: crm\nspec:\n  env:\n    A: 1\n");
  CHECK(result.code == 2);
  CHECK(Contains(result.err, "standard input:5:5: app.spec.env.A: too long"));
}

TEST_CASE("program: apply of a folder changes nothing if one manifest has a fault") {
  Bench bench;
  REQUIRE(AtomicWriteFile(bench.dir.File("a.yaml"), "kind: App\nname: a\n", 0644).ok());
  REQUIRE(
      AtomicWriteFile(bench.dir.File("b.yml"), "kind: App\nname: b\nspec: {x: 1}\n", 0644).ok());
  const Result result = bench.Run({"apply", "-f", bench.dir.path()});
  CHECK(result.code == 2);
  CHECK(Contains(result.err, "b.yml:3:8: unknown key spec.x"));
  MutexLock lock(&bench.world.mutex);
  CHECK(bench.world.apps.empty());
}

TEST_CASE("program: push prints the blob's name and nothing else") {
  Bench bench;
  REQUIRE(AtomicWriteFile(bench.dir.File("x"), "abc", 0644).ok());
  const Result result = bench.Run({"push", bench.dir.File("x")});
  CHECK(result.out == "blobs/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
}

TEST_CASE("program: every command has a description and an example in its help") {
  Bench bench;
  const std::string all = bench.Run({"--help"}).out;
  for (const char* name :
       {"run",     "apply",      "get",      "describe",     "start",     "stop",
        "restart", "scale",      "rollback", "delete",       "undelete",  "push",
        "logs",    "watch",      "nodes",    "environments", "projects",  "drain",
        "resume",  "operations", "setup",    "version",      "completion"}) {
    INFO(name);
    CHECK(Contains(all, std::string("\n  ") + name + " "));
    const Result help = bench.Run({name, "--help"});
    CHECK(help.code == 0);
    CHECK(Contains(help.out, std::string("Usage: appsup ") + name));
    CHECK(Contains(help.out, std::string("Example:\n  ")));
  }
}

TEST_CASE("program: a mistyped command is answered with the one that was meant") {
  Bench bench;
  CHECK(Contains(bench.Run({"aply", "-f", "x"}).err,
                 "there is no command \"aply\"; did you mean apply?"));
}

}  // namespace
}  // namespace appsup::cli
