#include "tests/support/core_harness.h"

#include <stdexcept>
#include <utility>

#include "appsupervisor/v1/environment_service.pb.h"
#include "appsupervisor/v1/node_service.pb.h"

namespace appsup::entry {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

// A test cannot go on.
void Require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

}  // namespace

CoreHarness::CoreHarness(CoreOptions core_options) : options(core_options) { Restart(); }

void CoreHarness::Restart() {
  held_.clear();
  pending_.clear();
  closed_.clear();
  to_agents_.clear();
  hold_commits_ = false;
  timer_ = absl::InfiniteDuration();
  CatalogRows rows;
  for (const auto& [key, value] : rows_) rows.rows.push_back({key.first, key.second, value});
  rows.last_index = last_index_;
  ++epoch_;
  absl::StatusOr<std::unique_ptr<EntryCore>> core =
      EntryCore::Create(options, rows, epoch_, "timeline-" + std::to_string(epoch_), now);
  Require(core.status());
  core_ = *std::move(core);
  Flush();
}

void CoreHarness::Restore(const Backup& backup) {
  rows_ = backup.rows;
  log_ = backup.log;
  last_index_ = backup.last_index;
  Restart();
}

void CoreHarness::Handle(Event event) {
  core_->Handle(std::move(event), now);
  Flush();
}

void CoreHarness::Flush() {
  Perform(core_->Flush(now));
  while (!pending_.empty()) {
    while (!pending_.empty()) {
      Event event = std::move(pending_.front());
      pending_.pop_front();
      core_->Handle(std::move(event), now);
    }
    Perform(core_->Flush(now));
  }
}

void CoreHarness::Perform(std::vector<Effect> effects) {
  for (Effect& effect : effects) {
    std::visit(
        Overloaded{
            [&](Commit& commit) {
              commits_.push_back(commit.transaction);
              if (hold_commits_) {
                held_.push_back(std::move(commit.transaction));
              } else {
                MakeDurable(commit.transaction);
              }
            },
            [&](Reply& reply) { replies_.emplace(reply.call, std::move(reply.response)); },
            [&](StreamMessage& message) {
              streams_[message.call].messages.push_back(std::move(message.message));
              if (!hold_streams_) pending_.push_back(StreamWritable{message.call});
            },
            [&](StreamEnd& end) { streams_[end.call].end = end.status; },
            [&](ReadChanges& read) {
              pending_.push_back(ChangesRead{read.call, ReadLog(read.after_index, read.limit)});
            },
            [&](SendToAgent& send) {
              to_agents_[send.session].push_back(*send.message);
              pending_.push_back(AgentWritable{send.session});
            },
            [&](CloseAgent& close) { closed_[close.session] = close.reason; },
            [&](SetTimer& set) { timer_ = set.at; },
            [&](Note& note) { notes_.push_back(std::move(note)); },
        },
        effect);
  }
}

void CoreHarness::MakeDurable(const Transaction& transaction) {
  if (transaction.first_index != last_index_ + 1) throw std::runtime_error("indices have a gap");
  for (const RowChange& row : transaction.rows) {
    if (row.value.has_value()) {
      rows_[{row.table, row.key}] = *row.value;
    } else {
      rows_.erase({row.table, row.key});
    }
  }
  log_.insert(log_.end(), transaction.changes.begin(), transaction.changes.end());
  while (!log_.empty() && log_.front().index < transaction.trim_changes_before) {
    log_.erase(log_.begin());
  }
  last_index_ = transaction.last_index;
  pending_.push_back(CommitDone{last_index_});
}

absl::StatusOr<std::vector<ChangeEntry>> CoreHarness::ReadLog(int64_t after, int limit) const {
  std::vector<ChangeEntry> found;
  for (const ChangeEntry& entry : log_) {
    if (entry.index > after && static_cast<int>(found.size()) < limit) found.push_back(entry);
  }
  return found;
}

CallId CoreHarness::Send(const std::string& method, const google::protobuf::Message& request) {
  ApiCall call;
  call.call = next_call_++;
  call.method = "appsupervisor.v1." + method;
  call.request.reset(request.New());
  const_cast<google::protobuf::Message&>(*call.request).CopyFrom(request);
  call.principal = principal;
  call.entropy.assign(32, 'e');
  call.entropy.back() = static_cast<char>('0' + call.call % 64);
  const CallId id = call.call;
  Handle(std::move(call));
  return id;
}

std::optional<absl::StatusOr<MessagePtr>> CoreHarness::TakeReply(CallId call) {
  auto reply = replies_.extract(call);
  if (reply.empty()) return std::nullopt;
  return std::move(reply.mapped());
}

void CoreHarness::Cancel(CallId call) { Handle(CallCancelled{call}); }

absl::StatusOr<MessagePtr> CoreHarness::CallAny(const std::string& method,
                                                const google::protobuf::Message& request) {
  std::optional<absl::StatusOr<MessagePtr>> reply = TakeReply(Send(method, request));
  if (!reply.has_value()) return absl::InternalError(method + " was not answered");
  return *std::move(reply);
}

SessionId CoreHarness::Connect(const std::string& node_id, api::Hello hello) {
  const rec::NodeRecord* node = catalog().nodes.Find("nodes/" + node_id);
  AgentConnected event;
  event.session = next_session_++;
  event.node = node_id;
  event.node_uid = node == nullptr ? "" : node->node().uid();
  event.peer = "10.0.0.1:4000";
  event.secret = "secret-" + std::to_string(event.session);
  event.certificate_expires = now.wall + absl::Hours(24);
  const SessionId session = event.session;
  Handle(std::move(event));
  if (hello.machine_id().empty()) hello.set_machine_id("machine-" + node_id);
  if (!hello.has_capacity()) {
    hello.mutable_capacity()->set_cpu_millis(4000);
    hello.mutable_capacity()->set_memory_bytes(int64_t{8} << 30);
    hello.mutable_capacity()->set_pids(10'000);
  }
  if (hello.drivers().empty()) {
    hello.add_drivers()->set_name("process");
    hello.mutable_drivers(0)->add_enforces("deadline");
  }
  if (hello.address().empty()) hello.set_address("10.0.0.1");
  api::ConnectRequest message;
  *message.mutable_hello() = std::move(hello);
  FromAgent(session, message);
  return session;
}

void CoreHarness::Disconnect(SessionId session) { Handle(AgentDisconnected{session}); }

void CoreHarness::FromAgent(SessionId session, const api::ConnectRequest& message) {
  Handle(AgentMessage{session, std::make_shared<api::ConnectRequest>(message)});
}

std::vector<api::ConnectResponse> CoreHarness::ToAgent(SessionId session) {
  return std::exchange(to_agents_[session], {});
}

void CoreHarness::Advance(absl::Duration duration) {
  const Moment end{now.wall + duration, now.boot + duration};
  for (int rounds = 0; timer_ <= end.boot; ++rounds) {
    if (rounds > 100'000) throw std::runtime_error("the timer does not get on");
    const absl::Duration step = std::max(timer_ - now.boot, absl::ZeroDuration());
    now = {now.wall + step, now.boot + step};
    timer_ = absl::InfiniteDuration();
    Handle(TimerDue{});
  }
  now = end;
  Flush();
}

void CoreHarness::HoldCommits(bool hold) {
  hold_commits_ = hold;
  if (hold) return;
  for (const Transaction& transaction : std::exchange(held_, {})) MakeDurable(transaction);
  Flush();
}

void CoreHarness::FailCommit() {
  held_.clear();
  Handle(CommitFailed{absl::UnavailableError("the disk is gone")});
}

void CoreHarness::AddEnvironment(const std::string& id) {
  api::CreateEnvironmentRequest request;
  request.set_environment_id(id);
  Require(Call<api::Environment>("EnvironmentService/CreateEnvironment", request).status());
}

void CoreHarness::AddNode(const std::string& id, const std::string& environment) {
  api::CreateEnrollmentTokenRequest token_request;
  token_request.set_environment(environment);
  auto token = Call<api::EnrollmentToken>("NodeService/CreateEnrollmentToken", token_request);
  Require(token.status());
  api::EnrollRequest request;
  request.set_join_token(token->token());
  request.set_node_id(id);
  request.set_machine_id("machine-" + id);
  Require(Call<api::EnrollResponse>("LinkService/Enroll", request).status());
}

}  // namespace appsup::entry
