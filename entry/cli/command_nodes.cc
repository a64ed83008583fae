// appsup nodes, drain, resume: the machines that host apps.
#include "common/status.h"
#include "common/text_units.h"
#include "entry/cli/commands.h"
#include "entry/cli/names.h"
#include "entry/cli/operation_wait.h"
#include "entry/cli/resource_kinds.h"
#include "entry/cli/resource_list.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

struct TokenOptions {
  std::string environment;
  std::string ttl;
};

// Only the line to paste goes to standard output; what it is, to standard error.
Outcome MakeToken(Session& session, const TokenOptions& options) {
  v1::CreateEnrollmentTokenRequest request;
  ASSIGN_OR_RETURN(const std::string name, EnvironmentName(options.environment));
  request.set_environment(IdOf(name));
  if (!options.ttl.empty()) {
    ASSIGN_OR_RETURN(const absl::Duration ttl, ParseDuration(options.ttl));
    request.mutable_ttl()->set_seconds(absl::ToInt64Seconds(ttl));
  }
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(const v1::EnrollmentToken token,
                   client->Call(&NodeStub::CreateEnrollmentToken, request));
  if (PrintMessage(session, token)) return ExitCode::kOk;
  if (!session.settings.quiet && session.surroundings.err_is_terminal) {
    session.err << fmt::format("Run this on the machine that is to become a node of {}:\n",
                               request.environment());
  }
  session.out << token.command() << "\n" << std::flush;
  return ExitCode::kOk;
}

struct NodeOptions {
  std::string node;
  std::vector<std::string> labels;
};

template <class Request, class Response>
absl::StatusOr<Response> CallFor(Session& session,
                                 grpc::Status (NodeStub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                                 const NodeOptions& options) {
  Request request;
  ASSIGN_OR_RETURN(*request.mutable_name(), NodeName(options.node));
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  return client->Call(method, request);
}

Outcome Told(Session& session, const absl::StatusOr<v1::Node>& node, const std::string& what) {
  if (!node.ok()) return node.status();
  if (!PrintMessage(session, *node)) {
    session.Say(fmt::format("{}: {}", IdOf(node->name()), what));
  }
  return ExitCode::kOk;
}

Outcome DeleteNode(Session& session, const NodeOptions& options) {
  RETURN_IF_ERROR(CallFor(session, &NodeStub::DeleteNode, options).status());
  session.Say(fmt::format("{}: deleted", options.node));
  return ExitCode::kOk;
}

Outcome RevokeNode(Session& session, const NodeOptions& options) {
  return Told(session, CallFor(session, &NodeStub::RevokeNode, options),
              "revoked; its certificate is not accepted any more");
}

Outcome Resume(Session& session, const NodeOptions& options) {
  return Told(session, CallFor(session, &NodeStub::ResumeNode, options), "takes apps again");
}

Outcome Drain(Session& session, const NodeOptions& options) {
  ASSIGN_OR_RETURN(const v1::Operation operation, CallFor(session, &NodeStub::DrainNode, options));
  return FinishOperation(session, operation);
}

struct AcceptOptions {
  std::string node;
  bool all = false;
};

Outcome Accept(Session& session, const AcceptOptions& options) {
  if (options.all != options.node.empty()) {
    return UsageError("name one NODE, or say --all for every node that is guarded");
  }
  v1::AcceptCatalogRequest request;
  request.set_name("nodes/-");
  if (!options.all) {
    ASSIGN_OR_RETURN(*request.mutable_name(), NodeName(options.node));
  }
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(const v1::AcceptCatalogResponse response,
                   client->Call(&NodeStub::AcceptCatalog, request));
  if (PrintMessage(session, response)) return ExitCode::kOk;
  for (const std::string& name : response.nodes()) {
    session.Say(fmt::format("{}: follows this catalog from now on", IdOf(name)));
  }
  return ExitCode::kOk;
}

absl::StatusOr<v1::Node> Update(Session& session, v1::Node node, const std::string& field) {
  v1::UpdateNodeRequest request;
  *request.mutable_node() = std::move(node);
  request.mutable_update_mask()->add_paths(field);
  request.set_request_id(session.NewRequestId());
  ASSIGN_OR_RETURN(Client * client, session.client());
  return client->Call(&NodeStub::UpdateNode, request);
}

Outcome SetSchedulable(Session& session, const NodeOptions& options, bool schedulable) {
  v1::Node node;
  ASSIGN_OR_RETURN(*node.mutable_name(), NodeName(options.node));
  node.set_schedulable(schedulable);
  return Told(
      session, Update(session, node, "schedulable"),
      schedulable ? "gets new instances again" : "gets no new instances; those that run stay");
}

// KEY=VALUE sets, KEY- removes. The etag keeps two people from undoing each other's labels.
Outcome Label(Session& session, const NodeOptions& options) {
  v1::GetNodeRequest get;
  ASSIGN_OR_RETURN(*get.mutable_name(), NodeName(options.node));
  ASSIGN_OR_RETURN(Client * client, session.client());
  ASSIGN_OR_RETURN(v1::Node node, client->Call(&NodeStub::GetNode, get));
  for (const std::string& label : options.labels) {
    if (label.size() > 1 && label.back() == '-' && label.find('=') == std::string::npos) {
      node.mutable_labels()->erase(label.substr(0, label.size() - 1));
      continue;
    }
    ASSIGN_OR_RETURN(const auto pair, KeyAndValue("a label", label));
    (*node.mutable_labels())[pair.first] = pair.second;
  }
  const absl::StatusOr<v1::Node> updated = Update(session, std::move(node), "labels");
  if (!updated.ok()) return updated.status();
  return Told(session, updated, "labels " + LabelsText(updated->labels()));
}

template <class Run>
std::shared_ptr<NodeOptions> AddVerb(Commands& commands, CLI::App& parent, const std::string& name,
                                     const std::string& description, Run run) {
  const std::string path = parent.get_parent() == nullptr ? name : parent.get_name() + " " + name;
  CLI::App* command = commands.Add(
      parent, name, description,
      fmt::format("  appsup {} eu-1{}", path, name == "label" ? " disk=ssd old-" : ""));
  const auto options = commands.Bind<NodeOptions>(command, run);
  command->add_option("NODE", options->node, "node")->required();
  if (name == "label") {
    command->add_option("LABEL", options->labels, "KEY=VALUE sets, KEY- removes")->required();
  }
  return options;
}

void AddToken(Commands& commands, CLI::App& nodes) {
  CLI::App* token =
      commands.Add(nodes, "token", "Prints the line to paste on a machine that is to become a node",
                   "  appsup nodes token eu\n  appsup nodes token eu --ttl 1d");
  const auto options = commands.Bind<TokenOptions>(token, MakeToken);
  token->add_option("ENVIRONMENT", options->environment, "environment of the node")->required();
  token->add_option("--ttl", options->ttl, "how long the token works (1h)");
}

void AddAccept(Commands& commands, CLI::App& nodes) {
  CLI::App* accept = commands.Add(
      nodes, "accept", "Lets this catalog rule a guarded node: removes there what it does not know",
      "  appsup nodes accept eu-1\n  appsup nodes accept --all");
  const auto options = commands.Bind<AcceptOptions>(accept, Accept);
  accept->add_option("NODE", options->node, "node that is GUARDED");
  accept->add_flag("--all", options->all, "all nodes that are GUARDED");
}

}  // namespace

void AddNodeCommands(Commands& commands) {
  CLI::App& root = commands.root();
  CLI::App* nodes = commands.Add(root, "nodes", "Shows and keeps nodes",
                                 "  appsup nodes\n  appsup nodes token eu");
  AddListCommand(commands, *nodes, "nodes");
  AddToken(commands, *nodes);
  AddVerb(commands, *nodes, "label", "Sets and removes labels of a node", Label);
  AddVerb(commands, *nodes, "cordon", "Gives a node no new instances",
          [](Session& session, const NodeOptions& options) {
            return SetSchedulable(session, options, false);
          });
  AddVerb(commands, *nodes, "uncordon", "Gives a node new instances again",
          [](Session& session, const NodeOptions& options) {
            return SetSchedulable(session, options, true);
          });
  AddAccept(commands, *nodes);
  AddVerb(commands, *nodes, "revoke", "Refuses a node's certificate from now on", RevokeNode);
  AddVerb(commands, *nodes, "delete", "Forgets a node that holds no instances", DeleteNode);
  AddVerb(commands, root, "drain", "Moves all instances away from a node and gives it no new ones",
          Drain);
  AddVerb(commands, root, "resume", "Ends a drain", Resume);
}

}  // namespace appsup::cli
