// appsup watch: what changes, as it changes.
#include "common/status.h"
#include "entry/cli/commands.h"
#include "entry/cli/event_stream.h"
#include "entry/cli/manifest_words.h"
#include "entry/cli/names.h"
#include "entry/cli/resource_kinds.h"
#include "entry/cli/resource_rows.h"
#include "entry/cli/selector.h"
#include "entry/cli/time_text.h"
#include "fmt/format.h"
#include "google/protobuf/util/json_util.h"

namespace appsup::cli {
namespace {

using google::protobuf::Message;

struct WatchOptions {
  std::vector<std::string> kinds;
  std::string selector;
  std::string filter;
  std::string resume;
  bool all_projects = false;
  bool snapshot = false;
  uint64_t count = 0;
};

std::string TypeWord(v1::EventType type) {
  const auto* value = v1::EventType_descriptor()->FindValueByNumber(type);
  return value == nullptr ? "?" : ShortWord(*value);
}

// What a table would say of its state: "RUNNING 1/1".
std::string SummaryOf(const Message& resource, absl::Time now) {
  const RowOptions options{now};
  const std::vector<std::string> titles = TitlesOf(*resource.GetDescriptor(), options);
  const Row row = RowOf(resource, options);
  std::string summary;
  for (size_t i = 0; i < std::min(titles.size(), row.size()); ++i) {
    for (const char* wanted : {"KIND", "STATE", "READY", "DONE", "MESSAGE"}) {
      if (titles[i] != wanted || row[i].text.empty()) continue;
      summary += (summary.empty() ? "" : " ") + OneLine(row[i].text);
    }
  }
  return summary;
}

std::string EventLine(Session& session, const v1::Event& event) {
  const std::unique_ptr<Message> resource = ResourceOf(event);
  std::string line =
      fmt::format("{}  {:<8}  {:<11}  {}", TimeText(event.time()), TypeWord(event.type()),
                  event.kind(), ShortName(session, event.name()));
  if (resource != nullptr && event.type() != v1::EVENT_TYPE_DELETED) {
    line += "  " + SummaryOf(*resource, session.Now());
  }
  if (!event.actor().empty()) line += fmt::format("  by {}", event.actor());
  return line;
}

// One line per event, so that scripts can read them one by one.
std::string JsonLine(const v1::Event& event) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(event, &json, options);
  return status.ok() ? json : "{}";
}

bool IsWanted(const v1::Event& event, const WatchOptions& options) {
  switch (event.type()) {
    case v1::EVENT_TYPE_SNAPSHOT:
      return options.snapshot;
    case v1::EVENT_TYPE_SNAPSHOT_END:
    case v1::EVENT_TYPE_BOOKMARK:
      return false;
    default:  // All that tell of a change.
      return true;
  }
}

absl::StatusOr<v1::WatchEventsRequest> RequestOf(const Session& session,
                                                 const WatchOptions& options) {
  v1::WatchEventsRequest request;
  bool in_project = options.kinds.empty();
  for (const std::string& word : options.kinds) {
    ASSIGN_OR_RETURN(const ResourceKind* kind, FindResourceKind(word));
    request.add_kinds(kind->type->name());
    in_project = in_project || kind->in_project;
  }
  if (in_project && !options.all_projects) {
    request.set_parent("projects/" + session.settings.project);
  }
  ASSIGN_OR_RETURN(const std::string labels, FilterOfSelector(options.selector));
  request.set_filter(AndFilters(labels, options.filter));
  request.set_resume_token(options.resume);
  return request;
}

Outcome WatchAll(Session& session, const WatchOptions& options) {
  ASSIGN_OR_RETURN(const v1::WatchEventsRequest request, RequestOf(session, options));
  const bool json = session.settings.output == OutputForm::kJson;
  uint64_t left = options.count;
  return FollowEvents(session, request, [&](const v1::Event& event) {
    if (!IsWanted(event, options)) return true;
    session.out << (json ? JsonLine(event) : EventLine(session, event)) << "\n" << std::flush;
    return options.count == 0 || --left > 0;
  });
}

}  // namespace

void AddWatchCommand(Commands& commands) {
  CLI::App* command = commands.Add(
      commands.root(), "watch", "Prints a line for each change, until it is interrupted",
      "  appsup watch\n  appsup watch apps nodes -o json\n  appsup watch apps -l tier=gold");
  const auto options = commands.Bind<WatchOptions>(command, WatchAll);
  command->add_option("KIND", options->kinds, "only these kinds: apps, instances, nodes, …");
  command->add_option("-l,--selector", options->selector, "labels: tier=gold,customer!=acme");
  command->add_option("--filter", options->filter, "as the API has it: 'state = FAILED'");
  command->add_flag("-A,--all-projects", options->all_projects, "of all projects");
  command->add_flag("--snapshot", options->snapshot, "begin with what there is");
  command->add_option("--resume", options->resume,
                      "go on after this resume_token, as -o json shows it");
  command->add_option("-n,--count", options->count, "end after so many lines");
}

}  // namespace appsup::cli
