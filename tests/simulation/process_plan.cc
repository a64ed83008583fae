#include "tests/simulation/process_plan.h"

#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace appsup::simulation {
namespace {

void AddMillis(const char* name, absl::Duration value, std::vector<std::string>& words) {
  if (value > absl::ZeroDuration()) {
    words.push_back(absl::StrCat(name, "=", absl::ToInt64Milliseconds(value)));
  }
}

void AddNumber(const char* name, int value, std::vector<std::string>& words) {
  if (value != 0) words.push_back(absl::StrCat(name, "=", value));
}

}  // namespace

std::vector<std::string> CommandOf(const ProcessPlan& plan) {
  std::vector<std::string> words = {"app"};
  AddMillis("ready_ms", plan.ready, words);
  AddMillis("life_ms", plan.life, words);
  AddNumber("code", plan.code, words);
  AddMillis("stop_ms", plan.stop, words);
  AddNumber("stubborn", plan.stubborn ? 1 : 0, words);
  AddMillis("lingering_ms", plan.lingering, words);
  AddNumber("unstartable", plan.unstartable, words);
  AddNumber("never_ready", plan.never_ready ? 1 : 0, words);
  return words;
}

ProcessPlan PlanOf(const std::vector<std::string>& command) {
  std::map<std::string, int> values;
  for (const std::string& word : command) {
    const size_t equals = word.find('=');
    int value = 0;
    if (equals == std::string::npos || !absl::SimpleAtoi(word.c_str() + equals + 1, &value)) {
      continue;
    }
    values[word.substr(0, equals)] = value;
  }
  ProcessPlan plan;
  plan.ready = absl::Milliseconds(values["ready_ms"]);
  plan.life = absl::Milliseconds(values["life_ms"]);
  plan.code = values["code"];
  plan.stop = absl::Milliseconds(values["stop_ms"]);
  plan.stubborn = values["stubborn"] != 0;
  plan.lingering = absl::Milliseconds(values["lingering_ms"]);
  plan.unstartable = values["unstartable"];
  plan.never_ready = values["never_ready"] != 0;
  return plan;
}

Tree MakeTree(const agent::StartRequest& request, int node) {
  Tree tree;
  tree.id = request.id;
  tree.node = node;
  tree.app_uid = request.app_uid;
  tree.plan = PlanOf(request.command);
  tree.fenced = request.fence.has_value();
  std::string slot;
  std::string environment;
  std::set<int32_t> ports;
  for (const auto& [name, value] : request.env) {
    if (name == "APPSUP_SLOT") slot = value;
    if (name == "APPSUP_ENVIRONMENT") environment = value;
    if (name == "APPSUP_FENCE_TOKEN") tree.fenced = true;
    if (name == "APPSUP_DATA_DIR") tree.data_dir = value;
    int32_t number = 0;
    if (name == "APPSUP_REVISION" && absl::SimpleAtoi(value.c_str(), &number)) {
      tree.revision = number;
    }
    int32_t port = 0;
    if (name.rfind("PORT_", 0) == 0 && absl::SimpleAtoi(value.c_str(), &port)) ports.insert(port);
  }
  tree.ports.assign(ports.begin(), ports.end());
  tree.slot = absl::StrCat(request.app_uid, "/", environment, "/", slot);
  return tree;
}

}  // namespace appsup::simulation
