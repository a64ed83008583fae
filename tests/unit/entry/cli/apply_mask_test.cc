#include "entry/cli/apply_mask.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "appsupervisor/v1/app.pb.h"

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;

Manifest Read(const std::string& text) {
  auto manifests = ReadManifests({{"a.yaml", text}}, "default");
  REQUIRE(manifests.ok());
  return std::move(manifests->front());
}

bool Has(const google::protobuf::FieldMask& mask, const std::string& path) {
  return std::find(mask.paths().begin(), mask.paths().end(), path) != mask.paths().end();
}

TEST_CASE("apply mask: everything that operators write, but no field of another verb") {
  const auto mask = ApplyMask(Read("kind: App\nname: crm\nspec: {env: {A: b}}\n"));
  for (const char* path : {"display_name", "labels", "annotations", "hidden", "spec.env",
                           "spec.ports", "spec.placement", "spec.setup", "spec.data"}) {
    INFO(path);
    CHECK(Has(mask, path));
  }
  for (const char* path : {"name", "etag", "uid", "status", "spec", "spec.run_state",
                           "spec.replicas", "spec.restart_nonce"}) {
    INFO(path);
    CHECK_FALSE(Has(mask, path));
  }
}

TEST_CASE("apply mask: run_state and replicas are set where the manifest names them") {
  const auto mask =
      ApplyMask(Read("kind: App\nname: crm\nspec: {replicas: 2, run_state: RUNNING}\n"));
  CHECK(Has(mask, "spec.replicas"));
  CHECK(Has(mask, "spec.run_state"));
}

TEST_CASE("apply mask: of nodes only what operators write") {
  const auto mask = ApplyMask(Read("kind: Node\nname: n1\nlabels: {disk: ssd}\n"));
  CHECK(mask.paths_size() == 2);
  CHECK(Has(mask, "labels"));
  CHECK(Has(mask, "schedulable"));
}

TEST_CASE("apply mask: fields that are not named go back to their default") {
  const Manifest manifest = Read("kind: App\nname: crm\nspec: {env: {A: new}}\n");
  v1::App current;
  current.set_name("projects/default/apps/crm");
  current.set_display_name("old");
  (*current.mutable_labels())["tier"] = "gold";
  (*current.mutable_spec()->mutable_env())["A"] = "old";
  (*current.mutable_spec()->mutable_env())["B"] = "old";
  current.mutable_spec()->mutable_stop()->set_signal("SIGINT");
  current.mutable_spec()->set_replicas(7);
  current.mutable_spec()->set_run_state(v1::RUN_STATE_STOPPED);
  SetMaskedFields(ApplyMask(manifest), *manifest.resource, &current);
  CHECK(current.display_name().empty());
  CHECK(current.labels().empty());
  CHECK(current.spec().env_size() == 1);
  CHECK(current.spec().env().at("A") == "new");
  CHECK_FALSE(current.spec().has_stop());
  CHECK(current.spec().replicas() == 7);
  CHECK(current.spec().run_state() == v1::RUN_STATE_STOPPED);
}

}  // namespace
}  // namespace appsup::cli
