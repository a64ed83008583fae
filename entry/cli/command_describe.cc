// appsup describe: everything that helps to understand one resource.
#include "common/status.h"
#include "common/text_units.h"
#include "entry/cli/app_text.h"
#include "entry/cli/commands.h"
#include "entry/cli/names.h"
#include "entry/cli/resource_kinds.h"
#include "entry/cli/resource_rows.h"
#include "entry/cli/selector.h"
#include "entry/cli/time_text.h"
#include "entry/cli/yaml_writer.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace appsup::cli {
namespace {

using google::protobuf::Message;
using google::protobuf::RepeatedPtrField;

constexpr size_t kOperationsShown = 5;

struct DescribeOptions {
  std::vector<std::string> words;
};

void Line(Session& session, const std::string& key, const std::string& value,
          Shade shade = Shade::kPlain) {
  if (value.empty()) return;
  session.out << fmt::format("{:<13} {}\n", key + ":",
                             Shaded(OneLine(value), shade, session.color()));
}

std::string TimeAndAge(Session& session, const google::protobuf::Timestamp& time) {
  return fmt::format("{} ({} ago)", TimeText(time), AgeText(session.Now(), time));
}

template <class Resource>
void PrintTable(Session& session, const std::string& title,
                const std::vector<const Resource*>& resources) {
  session.out << "\n" << title << ":\n";
  if (resources.empty()) {
    session.out << "  none\n";
    return;
  }
  const RowOptions options{session.Now()};
  TextTable table(TitlesOf(*Resource::descriptor(), options), session.color(), 0);
  for (const Resource* resource : resources) table.Add(RowOf(*resource, options));
  session.out << table.Text();
}

template <class Resource>
std::vector<const Resource*> Pointers(const RepeatedPtrField<Resource>& resources) {
  std::vector<const Resource*> pointers;
  for (const Resource& resource : resources) pointers.push_back(&resource);
  return pointers;
}

Shade ConditionShade(v1::ConditionStatus status) {
  return status == v1::CONDITION_STATUS_TRUE    ? Shade::kGood
         : status == v1::CONDITION_STATUS_FALSE ? Shade::kBad
                                                : Shade::kBusy;
}

void PrintConditions(Session& session, const RepeatedPtrField<v1::Condition>& conditions) {
  if (conditions.empty()) return;
  TextTable table({"TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"}, session.color(), 0);
  for (const v1::Condition& condition : conditions) {
    table.Add({condition.type(),
               {WordOf(condition.status()), ConditionShade(condition.status())},
               condition.reason(),
               AgeText(session.Now(), condition.last_transition_time()),
               condition.message()});
  }
  session.out << "\nConditions:\n" << table.Text();
}

// Newest first; a refusal of the filter is no reason to show nothing of the rest.
void PrintOperations(Session& session, const std::string& parent, const std::string& target) {
  const absl::StatusOr<Client*> client = session.client();
  if (!client.ok()) return;
  v1::ListOperationsRequest request;
  request.set_parent(parent);
  request.set_filter("target = " + QuotedForFilter(target));
  request.set_page_size(kOperationsShown);
  const auto list = (*client)->Call(&OperationStub::ListOperations, request);
  if (!list.ok()) {
    session.err << ErrorText(Annotate(list.status(), "recent operations"));
    return;
  }
  PrintTable(session, "Recent operations", Pointers(list->operations()));
}

void PrintSpec(Session& session, const v1::App& app) {
  const v1::AppSpec& spec = app.spec();
  Line(session, "Command", fmt::format("{}", fmt::join(spec.runtime().process().command(), " ")));
  Line(session, "Artifact",
       spec.artifact().blob().empty() ? spec.artifact().uri() : spec.artifact().blob());
  Line(session, "Environments",
       fmt::format("{}", fmt::join(spec.placement().environments(), ", ")));
  Line(session, "Data",
       spec.data().kind() == v1::DATA_KIND_UNSPECIFIED ? "" : WordOf(spec.data().kind()));
}

void PrintAppHead(Session& session, const v1::App& app) {
  const v1::AppStatus& status = app.status();
  Line(session, "Name", app.name());
  Line(session, "Title", app.display_name());
  Line(session, "About", app.description());
  Line(session, "State",
       fmt::format("{}, {}/{} ready", WordOf(status.state()), status.ready_replicas(),
                   status.replicas()),
       ShadeOf(status.state()));
  Line(session, "Why", ReasonOf(app, session.Now()));
  for (const v1::Endpoint& endpoint : status.endpoints()) {
    Line(session, "Endpoint",
         fmt::format("{} {} ({})", endpoint.port(), endpoint.address(), endpoint.instance()));
  }
  Line(session, "Revision",
       status.current_revision() == status.target_revision()
           ? fmt::format("{}", status.target_revision())
           : fmt::format("{}, going to {}", status.current_revision(), status.target_revision()));
  Line(session, "Generation",
       fmt::format("{} (seen: {})", app.generation(), status.observed_generation()));
  Line(session, "Labels", app.labels().empty() ? "" : LabelsText(app.labels()));
  PrintSpec(session, app);
  Line(session, "Created", TimeAndAge(session, app.create_time()));
  if (app.has_delete_time()) {
    Line(session, "Deleted", TimeAndAge(session, app.delete_time()));
    Line(session, "Gone at", TimeText(app.purge_time()));
  }
}

absl::Status DescribeApp(Session& session, const v1::App& app) {
  PrintAppHead(session, app);
  PrintConditions(session, app.status().conditions());
  ASSIGN_OR_RETURN(Client * client, session.client());
  v1::ListInstancesRequest request;
  request.set_parent(app.name());
  ASSIGN_OR_RETURN(const v1::ListInstancesResponse instances,
                   client->ListAll(&AppStub::ListInstances, request));
  PrintTable(session, "Instances", Pointers(instances.instances()));
  if (app.status().has_last_failure()) {
    session.out << "\nLast failure:\n"
                << FailureText(app.status().last_failure(), session.Now(), "  ");
  }
  PrintOperations(session, app.name().substr(0, app.name().find("/apps/")), app.name());
  return absl::OkStatus();
}

std::string TotalsText(const v1::ResourceTotals& totals) {
  return fmt::format("{} CPU, {}, {} processes", FormatCpu(totals.cpu_millis()),
                     SizeText(totals.memory_bytes()), totals.pids());
}

absl::Status DescribeNode(Session& session, const v1::Node& node) {
  const v1::NodeStatus& status = node.status();
  Line(session, "Name", node.name());
  Line(session, "State", WordOf(status.state()));
  Line(session, "Environment", node.environment());
  Line(session, "Takes apps", node.has_schedulable() && !node.schedulable() ? "no" : "yes");
  Line(session, "Address", status.address());
  Line(session, "Labels", node.labels().empty() ? "" : LabelsText(node.labels()));
  Line(session, "Capacity", TotalsText(status.capacity()));
  Line(session, "Reserved", TotalsText(status.allocated()));
  Line(session, "In use", TotalsText(status.usage()));
  Line(session, "Versions", LabelsText(status.versions()));
  for (const v1::DriverInfo& driver : status.drivers()) {
    Line(session, "Driver",
         fmt::format("{}: enforces {}{}", driver.name(),
                     driver.enforces().empty()
                         ? "nothing"
                         : fmt::format("{}", fmt::join(driver.enforces(), ", ")),
                     driver.message().empty() ? "" : "; " + driver.message()));
  }
  if (status.has_lease_expire_time()) {
    Line(session, "Lease until", TimeText(status.lease_expire_time()));
  }
  if (status.has_certificate_expire_time()) {
    Line(session, "Certificate", "until " + TimeText(status.certificate_expire_time()));
  }
  PrintConditions(session, status.conditions());
  ASSIGN_OR_RETURN(Client * client, session.client());
  v1::ListInstancesRequest request;
  request.set_parent("projects/-/apps/-");
  request.set_filter("node = " + QuotedForFilter(IdOf(node.name())));
  ASSIGN_OR_RETURN(const v1::ListInstancesResponse instances,
                   client->ListAll(&AppStub::ListInstances, request));
  PrintTable(session, "Instances", Pointers(instances.instances()));
  PrintOperations(session, "", node.name());
  return absl::OkStatus();
}

absl::Status DescribeEnvironment(Session& session, const v1::Environment& environment) {
  const v1::EnvironmentStatus& status = environment.status();
  Line(session, "Name", environment.name());
  Line(session, "Title", environment.display_name());
  Line(session, "Labels", environment.labels().empty() ? "" : LabelsText(environment.labels()));
  Line(session, "Projects",
       environment.allowed_projects().empty()
           ? "all"
           : fmt::format("{}", fmt::join(environment.allowed_projects(), ", ")));
  Line(session, "Capacity", TotalsText(status.capacity()));
  Line(session, "Reserved", TotalsText(status.allocated()));
  ASSIGN_OR_RETURN(Client * client, session.client());
  v1::ListNodesRequest request;
  request.set_filter("environment = " + QuotedForFilter(IdOf(environment.name())));
  ASSIGN_OR_RETURN(const v1::ListNodesResponse nodes,
                   client->ListAll(&NodeStub::ListNodes, request));
  PrintTable(session, "Nodes", Pointers(nodes.nodes()));
  return absl::OkStatus();
}

absl::Status DescribeInstance(Session& session, const v1::Instance& instance) {
  Line(session, "Name", instance.name());
  Line(session, "State",
       fmt::format("{}, {}ready", WordOf(instance.state()), instance.ready() ? "" : "not "));
  Line(session, "Why", instance.message());
  Line(session, "Wanted", WordOf(instance.desired()));
  Line(session, "Node", instance.node());
  Line(session, "Environment", instance.environment());
  Line(session, "Slot", fmt::format("{}, revision {}", instance.slot(), instance.revision()));
  Line(session, "Starts",
       fmt::format("{}, of these {} restarts", instance.attempt(), instance.restarts()));
  if (instance.pid() != 0) Line(session, "Process", fmt::format("{}", instance.pid()));
  for (const v1::Endpoint& endpoint : instance.endpoints()) {
    Line(session, "Endpoint", endpoint.port() + " " + endpoint.address());
  }
  Line(session, "In use",
       fmt::format("{} CPU, {}, {} processes", FormatCpu(instance.usage().cpu_millis()),
                   SizeText(instance.usage().memory_bytes()), instance.usage().pids()));
  if (instance.has_exit()) Line(session, "Last exit", ExitText(instance.exit()));
  if (instance.has_start_time()) {
    Line(session, "Started", TimeAndAge(session, instance.start_time()));
  }
  if (instance.has_next_attempt_time()) {
    Line(session, "Next try", TimeText(instance.next_attempt_time()));
  }
  PrintConditions(session, instance.conditions());
  return absl::OkStatus();
}

absl::StatusOr<ResourceKind::MessagePtr> GetInstance(Session& session, const std::string& text) {
  v1::GetInstanceRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), InstanceName(session, text));
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(v1::Instance instance, client->Call(&AppStub::GetInstance, request));
  return ResourceKind::MessagePtr(std::make_unique<v1::Instance>(std::move(instance)));
}

// `describe crm`, `describe node eu-1`, `describe node/eu-1`, `describe crm/k7x2m4`.
absl::StatusOr<ResourceKind::MessagePtr> Find(Session& session,
                                              const std::vector<std::string>& words) {
  std::string kind_word = words.size() == 2 ? words[0] : "app";
  std::string name = words.back();
  const size_t slash = name.find('/');
  if (words.size() == 1 && slash != std::string::npos) {
    const bool names_kind = FindResourceKind(name.substr(0, slash)).ok();
    const bool is_full =
        name.rfind("projects/", 0) == 0 && name.find("/apps/") != std::string::npos;
    const bool is_instance = name.find("/instances/") != std::string::npos;
    const bool is_operation = name.find("/operations/") != std::string::npos;
    if (is_instance || (!names_kind && !is_full)) {
      kind_word = "instance";
    } else if (is_operation) {
      kind_word = "operation";
    } else if (!is_full) {
      kind_word = name.substr(0, slash);
      name = name.substr(slash + 1);
    }
  }
  ASSIGN_OR_RETURN(const ResourceKind* kind, FindResourceKind(kind_word));
  if (kind->type == v1::Instance::descriptor()) return GetInstance(session, name);
  if (kind->get == nullptr) {
    return UsageError(
        fmt::format("{} cannot be described; `appsup get {}` shows them", kind->word, kind->word));
  }
  return kind->get(session, name);
}

Outcome Describe(Session& session, const DescribeOptions& options) {
  ASSIGN_OR_RETURN(const ResourceKind::MessagePtr found, Find(session, options.words));
  if (PrintMessage(session, *found)) return ExitCode::kOk;
  const auto* type = found->GetDescriptor();
  absl::Status status;
  if (type == v1::App::descriptor()) {
    status = DescribeApp(session, static_cast<const v1::App&>(*found));
  } else if (type == v1::Node::descriptor()) {
    status = DescribeNode(session, static_cast<const v1::Node&>(*found));
  } else if (type == v1::Environment::descriptor()) {
    status = DescribeEnvironment(session, static_cast<const v1::Environment&>(*found));
  } else if (type == v1::Instance::descriptor()) {
    status = DescribeInstance(session, static_cast<const v1::Instance&>(*found));
  } else {
    session.out << ToYaml(*found, {session.settings.project});
  }
  session.out << std::flush;
  if (!status.ok()) return status;
  return ExitCode::kOk;
}

}  // namespace

void AddDescribeCommand(Commands& commands) {
  CLI::App* command = commands.Add(
      commands.root(), "describe",
      "Explains one resource: its state and why, instances, last failure",
      "  appsup describe crm\n  appsup describe node eu-1\n  appsup describe instance crm/k7x2m4");
  const auto options = commands.Bind<DescribeOptions>(command, Describe);
  command->add_option("WORDS", options->words, "APP, or KIND and NAME")->required()->expected(1, 2);
}

}  // namespace appsup::cli
