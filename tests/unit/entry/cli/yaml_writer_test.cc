#include "entry/cli/yaml_writer.h"

#include <catch2/catch.hpp>
#include <string>

#include "appsupervisor/v1/app.pb.h"
#include "appsupervisor/v1/environment.pb.h"
#include "entry/cli/manifest.h"
#include "google/protobuf/util/message_differencer.h"

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;
using google::protobuf::util::MessageDifferencer;

// An app with every field that an operator may write.
v1::App FullApp() {
  v1::App app;
  app.set_name("projects/default/apps/crm");
  app.set_display_name("CRM: \"the\" one");
  app.set_description("Two\nlines\tand \\ more: # not a comment");
  app.set_icon("data:image/png;base64,AAAA==");
  app.set_sort(-3);
  app.set_hidden(true);
  (*app.mutable_labels())["tier"] = "gold";
  (*app.mutable_labels())["version"] = "1.10";
  (*app.mutable_annotations())["yes"] = "no";
  (*app.mutable_annotations())["empty"] = "";
  v1::AppSpec& spec = *app.mutable_spec();
  spec.set_run_state(v1::RUN_STATE_STOPPED);
  spec.set_replicas(0);
  spec.mutable_placement()->add_environments("eu");
  spec.mutable_placement()->set_strategy(v1::PLACEMENT_STRATEGY_PACK);
  (*spec.mutable_placement()->mutable_node_selector())["disk"] = "ssd";
  spec.mutable_update()->set_strategy(v1::UPDATE_STRATEGY_ROLLING);
  spec.mutable_update()->set_max_surge(2);
  spec.mutable_update()->set_max_unavailable(0);
  spec.mutable_update()->mutable_progress_deadline()->set_seconds(90);
  spec.mutable_update()->set_auto_rollback(false);
  spec.mutable_artifact()->set_blob("blobs/0123");
  spec.mutable_artifact()->set_sha256("0123456789");
  spec.mutable_artifact()->set_unpack(v1::UNPACK_MODE_ARCHIVE);
  v1::ProcessRuntime& process = *spec.mutable_runtime()->mutable_process();
  process.add_command("sh");
  process.add_command("-c");
  process.add_command("exec \"$0\" 'é' > /dev/null && true # " + std::string(80, 'x'));
  process.set_user("crm");
  spec.mutable_install()->add_command("make");
  spec.mutable_setup()->add_command("true");
  spec.mutable_setup()->set_retry_safe(true);
  spec.mutable_setup()->mutable_timeout()->set_nanos(1'500'000);
  (*spec.mutable_env())["NUMBER"] = "4";
  (*spec.mutable_env())["TEXT"] = "null";
  v1::Port& port = *spec.add_ports();
  port.set_name("http");
  port.set_number(8080);
  spec.add_ports()->set_protocol(v1::PORT_PROTOCOL_UDP);
  spec.add_ports();
  spec.mutable_checks()->mutable_readiness()->mutable_tcp();
  spec.mutable_checks()->mutable_readiness()->mutable_period()->set_seconds(7200);
  spec.mutable_restart()->set_policy(v1::RESTART_POLICY_ON_FAILURE);
  spec.mutable_restart()->mutable_crash_loop()->set_count(3);
  spec.mutable_stop()->set_signal("SIGINT");
  spec.mutable_resources()->mutable_cpu_millis()->set_reserve(250);
  spec.mutable_resources()->mutable_cpu_millis()->set_limit(2000);
  spec.mutable_resources()->mutable_memory_bytes()->set_reserve(512 << 20);
  spec.mutable_resources()->mutable_memory_bytes()->set_limit(512 << 20);
  spec.mutable_resources()->mutable_pids()->set_limit(10);
  spec.mutable_resources()->set_enforce(v1::LIMIT_ENFORCEMENT_REQUIRED);
  spec.mutable_disconnect()->set_at_lease_end(v1::AT_LEASE_END_STOP);
  spec.mutable_disconnect()->set_replace(v1::REPLACE_AFTER);
  spec.mutable_disconnect()->mutable_lost_after()->set_seconds(30);
  spec.mutable_data()->set_kind(v1::DATA_KIND_SHARED);
  spec.mutable_data()->set_path("/mnt/data");
  return app;
}

TEST_CASE("yaml writer: apply reads back what it wrote, field by field") {
  const v1::App app = FullApp();
  const std::string yaml = ToYaml(app, {});
  INFO(yaml);
  const auto manifests = ReadManifests({{"a.yaml", yaml}}, "default");
  INFO(manifests.status().ToString());
  REQUIRE(manifests.ok());
  std::string difference;
  MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  const bool same = differencer.Compare(app, *manifests->front().resource);
  INFO(difference);
  CHECK(same);
}

TEST_CASE("yaml writer: every field of a spec that an operator writes is in the round trip") {
  const v1::App app = FullApp();
  std::vector<std::string> missing;
  const auto* type = v1::AppSpec::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    const auto* reflection = app.spec().GetReflection();
    const bool set = field->is_repeated() ? reflection->FieldSize(app.spec(), field) > 0
                                          : reflection->HasField(app.spec(), field);
    // Raised by RestartApp; writing it would lower it again.
    if (!set && field->name() != "restart_nonce") missing.push_back(field->name());
  }
  CHECK(missing == std::vector<std::string>{});
}

TEST_CASE("yaml writer: short forms are used") {
  v1::App app;
  app.set_name("projects/default/apps/crm");
  app.set_etag("\"abc\"");
  app.mutable_spec()->mutable_data()->set_kind(v1::DATA_KIND_NODE);
  app.mutable_spec()->mutable_resources()->mutable_memory_bytes()->set_reserve(1 << 30);
  app.mutable_spec()->mutable_resources()->mutable_memory_bytes()->set_limit(1 << 30);
  app.mutable_spec()->add_ports()->set_name("http");
  app.mutable_spec()->set_restart_nonce(3);
  CHECK(ToYaml(app, {}) ==
        "kind: App\n"
        "name: crm\n"
        "spec:\n"
        "  ports:\n"
        "  - name: http\n"
        "  resources:\n"
        "    memory: 1GiB\n"
        "  data: NODE\n");
}

TEST_CASE("yaml writer: an app of another project keeps its full name") {
  v1::App app;
  app.set_name("projects/shop/apps/web");
  CHECK(ToYaml(app, {.project = "default"}) == "kind: App\nname: projects/shop/apps/web\n");
  CHECK(ToYaml(app, {.project = "shop"}) == "kind: App\nname: web\n");
}

TEST_CASE("yaml writer: what the system sets is shown, unless only what is wanted is asked for") {
  v1::Environment environment;
  environment.set_name("environments/eu");
  environment.set_uid("u-1");
  environment.mutable_create_time()->set_seconds(1'700'000'000);
  environment.mutable_status()->set_nodes(2);
  CHECK(ToYaml(environment, {}) ==
        "kind: Environment\nname: eu\nuid: u-1\ncreate_time: \"2023-11-14T22:13:20Z\"\n"
        "status:\n  nodes: 2\n");
  CHECK(ToYaml(environment, {.only_wanted = true}) == "kind: Environment\nname: eu\n");
}

TEST_CASE("yaml writer: an environment with a status is read back without it") {
  v1::Environment environment;
  environment.set_name("environments/eu");
  environment.add_allowed_projects("shop");
  environment.mutable_status()->set_nodes(2);
  const auto manifests = ReadManifests({{"e.yaml", ToYaml(environment, {})}}, "default");
  REQUIRE(manifests.ok());
  environment.clear_status();
  CHECK(MessageDifferencer::Equals(environment, *manifests->front().resource));
}

}  // namespace
}  // namespace appsup::cli
