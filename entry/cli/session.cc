#include "entry/cli/session.h"

#include <algorithm>
#include <utility>

#include "common/backoff.h"
#include "common/check.h"
#include "common/id.h"
#include "common/mutex.h"
#include "common/status.h"
#include "entry/cli/yaml_writer.h"
#include "google/protobuf/util/json_util.h"

namespace appsup::cli {

absl::StatusOr<Client*> Session::client() {
  if (client_ == nullptr) {
    ASSIGN_OR_RETURN(client_, Client::Open(settings, surroundings));
  }
  return client_.get();
}

bool Session::color() const {
  if (settings.color == "always") return true;
  return settings.color == "auto" && surroundings.out_is_terminal && !surroundings.no_color;
}

std::string Session::NewRequestId() { return NewUuid(random); }

void Session::PauseBeforeRetry(uint32_t attempt, absl::Duration at_most) {
  const Backoff backoff({.initial = absl::Milliseconds(100), .max = absl::Seconds(2)});
  Mutex mutex;
  CondVar never;
  MutexLock lock(&mutex);
  never.WaitFor(&mutex, std::min(backoff.Next(attempt, random.Next()), at_most));
}

void Session::Say(const std::string& sentence) {
  if (!settings.quiet) out << sentence << "\n" << std::flush;
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
    REPORT_BUG("a message has no JSON form");
    return "{}\n";
  }
  if (json.empty() || json.back() != '\n') json += '\n';
  return json;
}

bool PrintMessage(Session& session, const google::protobuf::Message& message) {
  switch (session.settings.output) {
    case OutputForm::kJson:
      session.out << ToJson(message) << std::flush;
      return true;
    case OutputForm::kYaml:
      session.out << ToYaml(message, {session.settings.project}) << std::flush;
      return true;
    case OutputForm::kTable:
    case OutputForm::kWide:
    case OutputForm::kName:
      break;
  }
  return false;
}

}  // namespace appsup::cli
