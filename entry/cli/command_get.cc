// appsup get: resources in a table, as JSON or as YAML.
#include <utility>

#include "common/status.h"
#include "entry/cli/commands.h"
#include "entry/cli/event_stream.h"
#include "entry/cli/names.h"
#include "entry/cli/resource_kinds.h"
#include "entry/cli/resource_list.h"
#include "entry/cli/resource_rows.h"
#include "entry/cli/selector.h"
#include "entry/cli/yaml_writer.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

using google::protobuf::Message;
using MessagePtr = ResourceKind::MessagePtr;

struct GetOptions {
  std::string kind;
  std::vector<std::string> names;
  std::string selector;
  std::string filter;
  bool all_projects = false;
  bool show_deleted = false;
  bool watch = false;
};

RowOptions RowOptionsOf(Session& session, const GetOptions& options) {
  return {session.Now(), session.settings.output == OutputForm::kWide, options.all_projects};
}

TextTable TableFor(Session& session, const ResourceKind& kind, const GetOptions& options) {
  return TextTable(TitlesOf(*kind.type, RowOptionsOf(session, options)), session.color(),
                   session.surroundings.out_is_terminal ? session.surroundings.width : 0);
}

void PrintYaml(Session& session, const std::vector<const Message*>& resources) {
  const char* separator = "";
  for (const Message* resource : resources) {
    session.out << separator << ToYaml(*resource, {session.settings.project});
    separator = "---\n";
  }
}

void PrintNames(Session& session, const std::vector<const Message*>& resources) {
  for (const Message* resource : resources) {
    const auto* field = resource->GetDescriptor()->FindFieldByName("name");
    session.out << resource->GetReflection()->GetString(*resource, field) << "\n";
  }
}

void PrintTable(Session& session, const ResourceKind& kind, const GetOptions& options,
                const std::vector<const Message*>& resources) {
  if (resources.empty()) {
    if (!session.settings.quiet) {
      session.err << fmt::format("no {}{}\n", kind.word,
                                 kind.in_project && !options.all_projects
                                     ? " in project " + session.settings.project
                                     : "");
    }
    return;
  }
  TextTable table = TableFor(session, kind, options);
  const RowOptions row_options = RowOptionsOf(session, options);
  for (const Message* resource : resources) table.Add(RowOf(*resource, row_options));
  session.out << table.Text();
}

// Everything but JSON, which keeps the answer's own form.
void Print(Session& session, const ResourceKind& kind, const GetOptions& options,
           const std::vector<const Message*>& resources) {
  if (session.settings.output == OutputForm::kYaml) {
    PrintYaml(session, resources);
  } else if (session.settings.output == OutputForm::kName) {
    PrintNames(session, resources);
  } else {
    PrintTable(session, kind, options, resources);
  }
  session.out << std::flush;
}

absl::StatusOr<ListQuery> QueryOf(const GetOptions& options) {
  ListQuery query;
  query.all_projects = options.all_projects;
  query.show_deleted = options.show_deleted;
  ASSIGN_OR_RETURN(const std::string labels, FilterOfSelector(options.selector));
  query.filter = AndFilters(labels, options.filter);
  return query;
}

absl::Status CheckOptions(const ResourceKind& kind, const GetOptions& options) {
  if (!kind.filters && !(options.selector.empty() && options.filter.empty())) {
    return UsageError(fmt::format("{} cannot be filtered", kind.word));
  }
  if (!options.selector.empty() && kind.type->FindFieldByName("labels") == nullptr) {
    return UsageError(fmt::format("{} have no labels; use --filter", kind.word));
  }
  if (options.watch && (!kind.watched || !options.names.empty())) {
    return UsageError(
        "--watch goes with a list of apps, instances, nodes, environments, projects or "
        "operations");
  }
  if (kind.of_app && options.names.size() > 1) {
    return UsageError(fmt::format("`appsup get {}` takes one app", kind.word));
  }
  return absl::OkStatus();
}

Outcome GetList(Session& session, const ResourceKind& kind, const GetOptions& options) {
  ASSIGN_OR_RETURN(ListQuery query, QueryOf(options));
  if (kind.of_app && !options.names.empty()) query.app = options.names.front();
  ASSIGN_OR_RETURN(const MessagePtr list, kind.list(session, query));
  if (session.settings.output == OutputForm::kJson) {
    session.out << ToJson(*list) << std::flush;
  } else {
    Print(session, kind, options, ResourcesIn(*list));
  }
  return ExitCode::kOk;
}

// Those that are there are shown, though others are missing.
Outcome GetNamed(Session& session, const ResourceKind& kind, const GetOptions& options) {
  std::vector<MessagePtr> owned;
  std::vector<const Message*> resources;
  ExitCode code = ExitCode::kOk;
  for (const std::string& name : options.names) {
    absl::StatusOr<MessagePtr> found = kind.get(session, name);
    if (!found.ok()) {
      session.err << ErrorText(found.status());
      code = ExitCodeOf(found.status());
      continue;
    }
    owned.push_back(*std::move(found));
    resources.push_back(owned.back().get());
  }
  if (session.settings.output == OutputForm::kJson) {
    for (const Message* resource : resources) session.out << ToJson(*resource);
  } else if (!resources.empty()) {
    Print(session, kind, options, resources);
  }
  session.out << std::flush;
  return code;
}

std::string DeletedText(const v1::Event& event) {
  switch (event.type()) {
    case v1::EVENT_TYPE_DELETED:
      return "deleted";
    case v1::EVENT_TYPE_LEFT:
      return "no longer matches";
    default:  // It is there.
      return "";
  }
}

// The list as it is, then a row for each change, until it is interrupted.
Outcome Watch(Session& session, const ResourceKind& kind, const GetOptions& options) {
  ASSIGN_OR_RETURN(const ListQuery query, QueryOf(options));
  v1::WatchEventsRequest request;
  if (kind.in_project) {
    request.set_parent(options.all_projects ? "projects/-"
                                            : "projects/" + session.settings.project);
  }
  request.set_filter(query.filter);
  request.add_kinds(kind.type->name());
  TextTable table = TableFor(session, kind, options);
  bool listed = false;
  return FollowEvents(session, request, [&](const v1::Event& event) {
    const std::unique_ptr<Message> resource = ResourceOf(event);
    if (event.type() == v1::EVENT_TYPE_SNAPSHOT_END) {
      if (!listed) session.out << table.Text() << std::flush;
      listed = true;
    } else if (resource != nullptr) {
      Row row = RowOf(*resource, RowOptionsOf(session, options));
      if (const std::string text = DeletedText(event); !text.empty()) row.back() = Cell(text);
      if (listed) {
        session.out << table.RowText(row) << std::flush;
      } else {
        table.Add(std::move(row));
      }
    }
    return true;
  });
}

Outcome Get(Session& session, const GetOptions& options) {
  ASSIGN_OR_RETURN(const ResourceKind* kind, FindResourceKind(options.kind));
  RETURN_IF_ERROR(CheckOptions(*kind, options));
  if (options.watch) return Watch(session, *kind, options);
  if (options.names.empty() || kind->of_app) return GetList(session, *kind, options);
  return GetNamed(session, *kind, options);
}

}  // namespace

Outcome ShowAll(Session& session, const std::string& kind, const std::string& selector,
                const std::string& filter, bool all_projects) {
  GetOptions options;
  options.kind = kind;
  options.selector = selector;
  options.filter = filter;
  options.all_projects = all_projects;
  return Get(session, options);
}

void AddListCommand(Commands& commands, CLI::App& group, const std::string& kind) {
  const auto show = [kind](Session& session, const GetOptions& options) {
    return ShowAll(session, kind, options.selector, options.filter, options.all_projects);
  };
  commands.Bind<GetOptions>(&group, show);
  CLI::App* list = commands.Add(group, "list", fmt::format("Shows all {}", kind),
                                fmt::format("  appsup {0}\n  appsup {0} list -o wide", kind));
  const auto options = commands.Bind<GetOptions>(list, show);
  list->add_option("-l,--selector", options->selector, "labels: disk=ssd,!old");
  list->add_option("--filter", options->filter, "as the API has it: 'state = READY'");
  list->add_flag("-A,--all-projects", options->all_projects, "of all projects");
}

void AddGetCommand(Commands& commands) {
  CLI::App* command = commands.Add(
      commands.root(), "get", "Shows apps, instances, nodes, operations and other kinds in a table",
      "  appsup get apps\n  appsup get apps -l tier=gold -o wide\n  appsup get app crm -o yaml\n"
      "  appsup get instances crm\n  appsup get apps -A --filter 'state = FAILED'");
  const auto options = commands.Bind<GetOptions>(command, Get);
  command->add_option("KIND", options->kind, "kind")->required();
  command->add_option("NAME", options->names, "only these; of instances and revisions: their app");
  command->add_option("-l,--selector", options->selector, "labels: tier=gold,customer!=acme,web");
  command->add_option("--filter", options->filter, "as the API has it: 'state = FAILED'");
  command->add_flag("-A,--all-projects", options->all_projects, "of all projects");
  command->add_flag("--show-deleted", options->show_deleted, "deleted apps too");
  command->add_flag("-w,--watch", options->watch, "go on with a row for each change");
}

}  // namespace appsup::cli
