#include "entry/cli/resource_rows.h"

#include <map>

#include "appsupervisor/v1/app.pb.h"
#include "appsupervisor/v1/artifact_service.pb.h"
#include "appsupervisor/v1/environment.pb.h"
#include "appsupervisor/v1/node.pb.h"
#include "appsupervisor/v1/operation.pb.h"
#include "appsupervisor/v1/project.pb.h"
#include "common/text_units.h"
#include "entry/cli/app_text.h"
#include "entry/cli/names.h"
#include "entry/cli/time_text.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;
using Titles = std::vector<std::string>;

constexpr size_t kMaxMessage = 60;

std::string PartOf(const std::string& name, size_t part) {
  size_t begin = 0;
  for (size_t i = 0; i < part; ++i) {
    begin = name.find('/', begin);
    if (begin == std::string::npos) return "";
    ++begin;
  }
  return name.substr(begin, name.find('/', begin) - begin);
}

Shade InstanceShade(v1::InstanceState state, bool ready) {
  switch (state) {
    case v1::INSTANCE_STATE_RUNNING:
      return ready ? Shade::kGood : Shade::kBusy;
    case v1::INSTANCE_STATE_FAILED:
    case v1::INSTANCE_STATE_REJECTED:
      return Shade::kBad;
    case v1::INSTANCE_STATE_EXITED:
    case v1::INSTANCE_STATE_REMOVED:
      return Shade::kFaint;
    default:  // All on their way, and what later entries may say.
      return Shade::kBusy;
  }
}

Shade NodeShade(v1::NodeState state) {
  switch (state) {
    case v1::NODE_STATE_READY:
      return Shade::kGood;
    case v1::NODE_STATE_LOST:
    case v1::NODE_STATE_REVOKED:
    case v1::NODE_STATE_GUARDED:
      return Shade::kBad;
    default:
      return Shade::kBusy;
  }
}

std::string UseText(int64_t used, int64_t of, bool cpu) {
  if (of == 0) return "-";
  return cpu ? fmt::format("{}/{}", FormatCpu(used), FormatCpu(of))
             : fmt::format("{}/{}", SizeText(used), SizeText(of));
}

std::string EndpointsText(const google::protobuf::RepeatedPtrField<v1::Endpoint>& endpoints) {
  std::vector<std::string> texts;
  for (const v1::Endpoint& endpoint : endpoints) {
    texts.push_back(fmt::format("{}={}", endpoint.port(), endpoint.address()));
  }
  return texts.empty() ? "-" : fmt::format("{}", fmt::join(texts, " "));
}

Row AppRow(const v1::App& app, const RowOptions& options) {
  const v1::AppStatus& status = app.status();
  Row row;
  if (options.all_projects) row.emplace_back(PartOf(app.name(), 1));
  row.emplace_back(IdOf(app.name()));
  row.emplace_back(WordOf(status.state()), ShadeOf(status.state()));
  row.emplace_back(fmt::format("{}/{}", status.ready_replicas(), status.replicas()));
  const std::string url = UrlOf(app);
  row.emplace_back(url.empty() ? "-" : url);
  row.emplace_back(AgeText(options.now, app.create_time()));
  if (options.wide) {
    row.emplace_back(fmt::format("{}", status.target_revision()));
    row.emplace_back(
        app.spec().placement().environments().empty()
            ? "-"
            : fmt::format("{}", fmt::join(app.spec().placement().environments(), ",")));
    row.emplace_back(LabelsText(app.labels()));
  }
  const std::string reason = ReasonOf(app, options.now);
  row.emplace_back(options.wide ? reason : Shortened(reason, kMaxMessage));
  return row;
}

Row InstanceRow(const v1::Instance& instance, const RowOptions& options) {
  Row row;
  if (options.all_projects) row.emplace_back(PartOf(instance.name(), 1));
  row.emplace_back(PartOf(instance.name(), 3));
  row.emplace_back(IdOf(instance.name()));
  row.emplace_back(WordOf(instance.state()), InstanceShade(instance.state(), instance.ready()));
  row.emplace_back(instance.setup() ? "setup" : instance.ready() ? "yes" : "no");
  row.emplace_back(instance.node().empty() ? "-" : instance.node());
  row.emplace_back(fmt::format("{}", instance.revision()));
  row.emplace_back(fmt::format("{}", instance.restarts()));
  row.emplace_back(AgeText(options.now, instance.create_time()));
  if (options.wide) {
    row.emplace_back(fmt::format("{}", instance.slot()));
    row.emplace_back(WordOf(instance.desired()));
    row.emplace_back(instance.pid() == 0 ? "-" : fmt::format("{}", instance.pid()));
    row.emplace_back(FormatCpu(instance.usage().cpu_millis()));
    row.emplace_back(SizeText(instance.usage().memory_bytes()));
    row.emplace_back(EndpointsText(instance.endpoints()));
  }
  row.emplace_back(options.wide ? instance.message() : Shortened(instance.message(), kMaxMessage));
  return row;
}

// Why the node is not as it should be; "" if it is. The gravest comes last.
std::string TroubleOf(const v1::NodeStatus& status) {
  std::string message;
  for (const v1::Condition& condition : status.conditions()) {
    if (condition.status() != v1::CONDITION_STATUS_TRUE) message = condition.message();
  }
  return message;
}

Row NodeRow(const v1::Node& node, const RowOptions& options) {
  const v1::NodeStatus& status = node.status();
  const bool cordoned = node.has_schedulable() && !node.schedulable();
  Row row = {IdOf(node.name()),
             {WordOf(status.state()) + (cordoned ? ",CORDONED" : ""), NodeShade(status.state())},
             node.environment(),
             fmt::format("{}", status.instances()),
             UseText(status.allocated().cpu_millis(), status.capacity().cpu_millis(), true),
             UseText(status.allocated().memory_bytes(), status.capacity().memory_bytes(), false),
             status.address().empty() ? "-" : status.address(),
             AgeText(options.now, node.create_time())};
  if (options.wide) {
    const auto agent = status.versions().find("agent");
    row.emplace_back(agent == status.versions().end() ? "-" : agent->second);
    row.emplace_back(
        status.has_certificate_expire_time() ? TimeText(status.certificate_expire_time()) : "-");
    row.emplace_back(LabelsText(node.labels()));
  }
  const std::string trouble = TroubleOf(status);
  row.emplace_back(options.wide ? trouble : Shortened(trouble, kMaxMessage));
  return row;
}

Row EnvironmentRow(const v1::Environment& environment, const RowOptions& options) {
  const v1::EnvironmentStatus& status = environment.status();
  Row row = {IdOf(environment.name()),
             fmt::format("{}/{}{}", status.ready_nodes(), status.nodes(),
                         status.brake_engaged() ? " brake" : ""),
             fmt::format("{}", status.instances()),
             UseText(status.allocated().cpu_millis(), status.capacity().cpu_millis(), true),
             UseText(status.allocated().memory_bytes(), status.capacity().memory_bytes(), false),
             AgeText(options.now, environment.create_time())};
  if (options.wide) {
    row.emplace_back(environment.allowed_projects().empty()
                         ? "all"
                         : fmt::format("{}", fmt::join(environment.allowed_projects(), ",")));
    row.emplace_back(LabelsText(environment.labels()));
  }
  row.emplace_back(environment.display_name());
  return row;
}

Row ProjectRow(const v1::Project& project, const RowOptions& options) {
  Row row = {IdOf(project.name()), AgeText(options.now, project.create_time())};
  if (options.wide) row.emplace_back(LabelsText(project.labels()));
  row.emplace_back(project.display_name());
  return row;
}

Cell OperationState(const v1::Operation& operation) {
  if (!operation.done()) return {"RUNNING", Shade::kBusy};
  if (!operation.superseded_by().empty()) return {"SUPERSEDED", Shade::kFaint};
  return operation.has_error() ? Cell("FAILED", Shade::kBad) : Cell("DONE", Shade::kGood);
}

Row OperationRow(const v1::Operation& operation, const RowOptions& options) {
  Row row;
  if (options.all_projects) {
    row.emplace_back(PartOf(operation.name(), 0) == "projects" ? PartOf(operation.name(), 1) : "-");
  }
  row.emplace_back(IdOf(operation.name()));
  row.emplace_back(operation.kind());
  row.emplace_back(IdOf(operation.target()));
  row.emplace_back(OperationState(operation));
  row.emplace_back(fmt::format("{}/{}", operation.progress().step(), operation.progress().steps()));
  row.emplace_back(AgeText(options.now, operation.create_time()));
  if (options.wide) row.emplace_back(operation.actor());
  const std::string message =
      operation.has_error() ? operation.error().message() : operation.progress().message();
  row.emplace_back(options.wide ? message : Shortened(message, kMaxMessage));
  return row;
}

Row RevisionRow(const v1::AppRevision& revision, const RowOptions& options) {
  const auto& command = revision.spec().runtime().process().command();
  const std::string text = fmt::format("{}", fmt::join(command, " "));
  return {PartOf(revision.name(), 3),
          fmt::format("{}", revision.number()),
          AgeText(options.now, revision.create_time()),
          revision.actor(),
          WordOf(revision.setup_state()),
          options.wide ? text : Shortened(text, kMaxMessage)};
}

Row BlobRow(const v1::Blob& blob, const RowOptions& options) {
  return {blob.name(), SizeText(blob.size()), AgeText(options.now, blob.create_time())};
}

Titles With(bool first, const char* title, Titles titles) {
  if (first) titles.insert(titles.begin(), title);
  return titles;
}

Titles WithWide(Titles titles, bool wide, const Titles& more, const char* last) {
  if (wide) titles.insert(titles.end(), more.begin(), more.end());
  if (last != nullptr) titles.emplace_back(last);
  return titles;
}

}  // namespace

std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  std::vector<std::string> texts;
  for (const auto& [key, value] : sorted) texts.push_back(fmt::format("{}={}", key, value));
  return texts.empty() ? "-" : fmt::format("{}", fmt::join(texts, ","));
}

Titles TitlesOf(const google::protobuf::Descriptor& type, const RowOptions& options) {
  const std::string& name = type.name();
  const bool wide = options.wide;
  const bool all = options.all_projects;
  if (name == "App") {
    return With(all, "PROJECT",
                WithWide({"NAME", "STATE", "READY", "URL", "AGE"}, wide,
                         {"REVISION", "ENVIRONMENTS", "LABELS"}, "MESSAGE"));
  }
  if (name == "Instance") {
    return With(
        all, "PROJECT",
        WithWide({"APP", "INSTANCE", "STATE", "READY", "NODE", "REVISION", "RESTARTS", "AGE"}, wide,
                 {"SLOT", "DESIRED", "PID", "CPU", "MEMORY", "ENDPOINTS"}, "MESSAGE"));
  }
  if (name == "Node") {
    return WithWide(
        {"NAME", "STATE", "ENVIRONMENT", "INSTANCES", "CPU", "MEMORY", "ADDRESS", "AGE"}, wide,
        {"AGENT", "CERTIFICATE UNTIL", "LABELS"}, "MESSAGE");
  }
  if (name == "Environment") {
    return WithWide({"NAME", "NODES", "INSTANCES", "CPU", "MEMORY", "AGE"}, wide,
                    {"PROJECTS", "LABELS"}, "DISPLAY NAME");
  }
  if (name == "Project") return WithWide({"NAME", "AGE"}, wide, {"LABELS"}, "DISPLAY NAME");
  if (name == "Operation") {
    return With(
        all, "PROJECT",
        WithWide({"NAME", "KIND", "TARGET", "STATE", "DONE", "AGE"}, wide, {"ACTOR"}, "MESSAGE"));
  }
  if (name == "AppRevision") return {"APP", "REVISION", "AGE", "ACTOR", "SETUP", "COMMAND"};
  return {"NAME", "SIZE", "AGE"};
}

Row RowOf(const google::protobuf::Message& resource, const RowOptions& options) {
  const auto* type = resource.GetDescriptor();
  if (type == v1::App::descriptor()) return AppRow(static_cast<const v1::App&>(resource), options);
  if (type == v1::Instance::descriptor()) {
    return InstanceRow(static_cast<const v1::Instance&>(resource), options);
  }
  if (type == v1::Node::descriptor()) {
    return NodeRow(static_cast<const v1::Node&>(resource), options);
  }
  if (type == v1::Environment::descriptor()) {
    return EnvironmentRow(static_cast<const v1::Environment&>(resource), options);
  }
  if (type == v1::Project::descriptor()) {
    return ProjectRow(static_cast<const v1::Project&>(resource), options);
  }
  if (type == v1::Operation::descriptor()) {
    return OperationRow(static_cast<const v1::Operation&>(resource), options);
  }
  if (type == v1::AppRevision::descriptor()) {
    return RevisionRow(static_cast<const v1::AppRevision&>(resource), options);
  }
  return BlobRow(static_cast<const v1::Blob&>(resource), options);
}

}  // namespace appsup::cli
