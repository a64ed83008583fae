#include "entry/core/app_validation.h"

#include <catch2/catch.hpp>

namespace appsup::entry {
namespace {

using Fields = std::vector<std::string>;

// An app that is valid but for what `change` does to it.
Fields FaultsOf(const std::function<void(api::App&)>& change) {
  api::App app;
  app.mutable_spec()->mutable_runtime()->mutable_process()->add_command("/bin/true");
  change(app);
  Violations violations;
  ValidateApp("app", app, violations);
  Fields fields;
  for (const FieldViolation& violation : violations.found()) fields.push_back(violation.field);
  return fields;
}

TEST_CASE("app validation: text that could drive a terminal is refused by its field") {
  const std::string nul("a\0b", 3);
  for (const std::string& text : {nul, std::string("\x1b[2J"), std::string("a\x7f"),
                                  std::string("a\u009b2J"), std::string("a\rb")}) {
    INFO(Quoted(text));
    CHECK(FaultsOf([&](api::App& app) { app.set_display_name(text); }) ==
          Fields{"app.display_name"});
    CHECK(FaultsOf([&](api::App& app) { (*app.mutable_labels())["tier"] = text; }) ==
          Fields{"app.labels.tier"});
    CHECK(FaultsOf([&](api::App& app) { (*app.mutable_labels())[text] = "gold"; }) ==
          Fields{"app.labels"});
    CHECK(FaultsOf([&](api::App& app) { (*app.mutable_annotations())[text] = "x"; }) ==
          Fields{"app.annotations"});
    CHECK(FaultsOf([&](api::App& app) {
            app.mutable_spec()->mutable_runtime()->mutable_process()->set_user(text);
          }) == Fields{"app.spec.runtime.process.user"});
    CHECK(FaultsOf([&](api::App& app) {
            app.mutable_spec()->mutable_artifact()->set_uri("https://x/" + text);
          }) == Fields{"app.spec.artifact.uri"});
  }
  for (const std::string& text : {nul, std::string("\x1b[2J"), std::string("a\u009b2J")}) {
    INFO(Quoted(text));
    CHECK(FaultsOf([&](api::App& app) { app.set_description(text); }) == Fields{"app.description"});
    CHECK(FaultsOf([&](api::App& app) { app.set_icon(text); }) == Fields{"app.icon"});
    CHECK(FaultsOf([&](api::App& app) { (*app.mutable_annotations())["note"] = text; }) ==
          Fields{"app.annotations"});
  }
}

TEST_CASE("app validation: what a lost node means must be possible") {
  auto faults = [](api::AtLeaseEnd at_end, api::Replace replace, api::DataKind data,
                   std::optional<int> lost_after) {
    return FaultsOf([&](api::App& app) {
      api::AppSpec& spec = *app.mutable_spec();
      spec.mutable_disconnect()->set_at_lease_end(at_end);
      spec.mutable_disconnect()->set_replace(replace);
      if (data != api::DATA_KIND_UNSPECIFIED) spec.mutable_data()->set_kind(data);
      if (!lost_after.has_value()) return;
      spec.mutable_disconnect()->mutable_lost_after()->set_seconds(*lost_after);
    });
  };
  const auto keep = api::AT_LEASE_END_KEEP;
  const auto stop = api::AT_LEASE_END_STOP;
  const auto no_data = api::DATA_KIND_UNSPECIFIED;
  CHECK(faults(keep, api::REPLACE_AFTER_STOP, no_data, {}) ==
        Fields{"app.spec.disconnect.replace"});
  CHECK(faults(keep, api::REPLACE_AFTER, api::DATA_KIND_NODE, {}) ==
        Fields{"app.spec.disconnect.replace"});
  CHECK(faults(stop, api::REPLACE_AFTER_STOP, no_data, 5) ==
        Fields{"app.spec.disconnect.lost_after"});
  CHECK(faults(keep, api::REPLACE_AFTER, no_data, -1) == Fields{"app.spec.disconnect.lost_after"});
  CHECK(faults(keep, api::REPLACE_AFTER, no_data, 86'401) ==
        Fields{"app.spec.disconnect.lost_after"});
  CHECK(faults(static_cast<api::AtLeaseEnd>(9), api::REPLACE_NEVER, no_data, {}) ==
        Fields{"app.spec.disconnect.at_lease_end"});
  CHECK(faults(stop, api::REPLACE_AFTER_STOP, no_data, {}).empty());
  CHECK(faults(stop, api::REPLACE_AFTER, no_data, 0).empty());
  CHECK(faults(stop, api::REPLACE_NEVER, api::DATA_KIND_NODE, {}).empty());
}

TEST_CASE("app validation: people's words of any language are fine, several lines where it fits") {
  CHECK(FaultsOf([](api::App& app) {
          app.set_display_name("Größe – 規模 \u00a0é");
          app.set_description("One line.\r\n\tAnother.\n");
          app.set_icon("data:image/svg+xml,<svg>\n</svg>");
          (*app.mutable_labels())["kunde"] = "Müller";
          (*app.mutable_annotations())["note"] = "{\n\t\"a\": 1\n}";
        }).empty());
}

TEST_CASE("app validation: an answer that quotes what was typed has no control characters") {
  CHECK(Quoted("a\x1b[2J\n") == "\"a\\x1b[2J\\x0a\"");
  CHECK(Quoted("Größe") == "\"Größe\"");
  CHECK(Quoted(std::string(200, 'x')) == "\"" + std::string(128, 'x') + "…\"");
}

}  // namespace
}  // namespace appsup::entry
