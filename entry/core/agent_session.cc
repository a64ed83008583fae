#include "entry/core/agent_session.h"

#include <algorithm>
#include <vector>

#include "common/status.h"
#include "fmt/format.h"
#include "google/rpc/status.pb.h"

namespace appsup::entry {

AgentSession::AgentSession(const AgentConnected& event)
    : connected_(event), node_("nodes/" + event.node), assignments_(node_) {}

absl::StatusOr<bool> AgentSession::AddHello(const api::Hello& part) {
  if (!hello_began_) {
    hello_ = part;
    hello_began_ = true;
  } else {
    hello_.mutable_instances()->MergeFrom(part.instances());
  }
  if (hello_.instances_size() > kMaxHeldInstances) {
    return MakeError(absl::StatusCode::kResourceExhausted, "HELLO_TOO_LARGE",
                     fmt::format("Hello names more than {} instances.", kMaxHeldInstances));
  }
  return !part.more();
}

void AgentSession::Open(api::Welcome welcome, bool grants_held) {
  phase_ = Phase::kOpen;
  name_ = welcome.session();
  welcome_ = std::move(welcome);
  grants_held_ = grants_held;
  assignments_.Open();
  hello_.Clear();
}

void AgentSession::Heard(const api::Heartbeat& heartbeat) {
  heartbeat_ = std::max(heartbeat_, heartbeat.number());
  grant_due_ = true;
}

void AgentSession::Acknowledge(const api::InstanceStatus& status) {
  auto& newest = acks_[status.uid()];
  newest = std::max(newest, std::pair(status.attempt(), status.sequence()));
}

absl::Status AgentSession::AddCommand(int64_t id, api::Command command, OnResult on_result) {
  if (commands_.size() >= kMaxOpenCommands) {
    return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_COMMANDS",
                     fmt::format("Node {} has {} open reads; try again when some of them ended.",
                                 connected_.node, commands_.size()),
                     {{"node", connected_.node}});
  }
  command.set_id(id);
  commands_[id] = {std::move(command), std::move(on_result)};
  unsent_commands_.push_back(id);
  return absl::OkStatus();
}

void AgentSession::CancelCommand(int64_t id) {
  auto command = commands_.find(id);
  if (command == commands_.end()) return;
  const bool sent = !command->second.unsent.has_value();
  commands_.erase(command);
  if (!sent) {
    unsent_commands_.erase(std::find(unsent_commands_.begin(), unsent_commands_.end(), id));
  } else if (cancels_.size() < kMaxOpenCommands) {
    cancels_.push_back(id);  // Beyond that, the agent's own limit on waiting ends it.
  }
}

void AgentSession::TakeChunk(const api::LogChunk& chunk) {
  auto command = commands_.find(chunk.command_id());
  if (command == commands_.end()) return;
  const OnResult on_result = command->second.on_result;  // It may cancel the command.
  on_result(&chunk, absl::OkStatus());
}

void AgentSession::TakeResult(const api::CommandResult& result) {
  auto command = commands_.find(result.id());
  if (command == commands_.end()) return;
  const OnResult on_result = std::move(command->second.on_result);
  commands_.erase(command);
  on_result(nullptr, FromProto(result.status()));
}

void AgentSession::FailCommands(const absl::Status& status) {
  std::map<int64_t, OpenCommand> failed;
  failed.swap(commands_);
  unsent_commands_.clear();
  cancels_.clear();
  for (auto& [id, command] : failed) command.on_result(nullptr, status);
}

void AgentSession::Close(api::Goodbye goodbye) {
  if (phase_ == Phase::kClosing) return;
  phase_ = Phase::kClosing;
  goodbye_ = std::move(goodbye);
}

std::unique_ptr<api::ConnectResponse> AgentSession::Compose(const Catalog& catalog,
                                                            const api::Position& position) {
  if (under_way_ || said_goodbye_ || abandoned_) return nullptr;
  auto message = std::make_unique<api::ConnectResponse>();
  bool composed = ComposeUrgent(*message);
  if (!composed && phase_ == Phase::kOpen) {
    for (int tried = 0; tried < 3 && !composed; ++tried) {
      turn_ = (turn_ + 1) % 3;
      composed = turn_ == 0   ? ComposeAcks(*message)
                 : turn_ == 1 ? ComposeAssignments(catalog, position, *message)
                              : ComposeCommand(*message);
    }
  }
  if (!composed) return nullptr;
  under_way_ = true;
  return message;
}

bool AgentSession::ComposeUrgent(api::ConnectResponse& message) {
  if (phase_ == Phase::kClosing) {
    *message.mutable_goodbye() = goodbye_;
    said_goodbye_ = true;
    return true;
  }
  if (welcome_.has_value()) {
    *message.mutable_welcome() = *std::move(welcome_);
    welcome_.reset();
    return true;
  }
  if (grant_due_ && !grants_held_) {
    message.mutable_lease_granted()->set_number(heartbeat_);
    grant_due_ = false;
    return true;
  }
  return false;
}

bool AgentSession::ComposeAcks(api::ConnectResponse& message) {
  if (acks_.empty()) return false;
  api::StatusAck& ack = *message.mutable_status_ack();
  auto next = acks_.begin();
  for (size_t count = 0; next != acks_.end() && count < kMaxAcks; ++next, ++count) {
    api::StatusAck::Entry& entry = *ack.add_instances();
    entry.set_uid(next->first);
    entry.set_attempt(next->second.first);
    entry.set_sequence(next->second.second);
  }
  acks_.erase(acks_.begin(), next);
  return true;
}

bool AgentSession::ComposeAssignments(const Catalog& catalog, const api::Position& position,
                                      api::ConnectResponse& message) {
  if (!assignments_.pending()) return false;
  api::Assignments& assignments = *message.mutable_assignments();
  assignments = assignments_.Next(catalog, kMaxMessageBytes);
  if (position_withheld_) return true;
  *assignments.mutable_position() = position;
  if (const rec::NodeRecord* node = catalog.nodes.Find(node_)) {
    const bool drained = node->node().desired() == api::NODE_DESIRED_DRAINED;
    assignments.set_node_desired(drained ? api::NODE_DESIRED_DRAINED : api::NODE_DESIRED_ACTIVE);
  }
  return true;
}

bool AgentSession::ComposeCommand(api::ConnectResponse& message) {
  if (!cancels_.empty()) {
    message.mutable_cancel_command()->set_id(cancels_.front());
    cancels_.pop_front();
    return true;
  }
  if (unsent_commands_.empty()) return false;
  OpenCommand& command = commands_.at(unsent_commands_.front());
  *message.mutable_command() = *std::move(command.unsent);
  command.unsent.reset();
  unsent_commands_.pop_front();
  return true;
}

}  // namespace appsup::entry
