#include "agent/core/link_session.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/status.h"
#include "google/rpc/status.pb.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr absl::Duration kDefaultHeartbeat = absl::Seconds(3);
constexpr absl::Duration kDefaultLease = absl::Seconds(10);
constexpr absl::Duration kLeastHeartbeat = absl::Milliseconds(100);

absl::Duration DurationOr(const google::protobuf::Duration& proto, absl::Duration fallback) {
  const absl::Duration value = absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
  return value > absl::ZeroDuration() ? std::max(value, kLeastHeartbeat) : fallback;
}

}  // namespace

void LinkSession::Up(uint64_t connection, std::vector<api::Hello> hello, uint64_t needed_index,
                     const Moment& now) {
  Down();
  lease_ = kDefaultLease;
  unanswered_since_ = now.boot;
  hello_index_ = needed_index;
  phase_ = Phase::kHello;
  connection_ = connection;
  writable_ = true;
  hello_.assign(std::make_move_iterator(hello.begin()), std::make_move_iterator(hello.end()));
}

void LinkSession::Down() {
  phase_ = Phase::kDown;
  connection_ = 0;
  writable_ = false;
  hello_.clear();
  version_ = 0;
  asked_complete_ = false;
  complete_.reset();
  complete_bytes_ = 0;
  applied_.reset();
  unanswered_since_ = absl::InfiniteDuration();
  writing_since_ = absl::InfiniteDuration();
  heartbeat_ = 0;
  heartbeats_.clear();
  commands_.clear();
}

void LinkSession::Writable() {
  writable_ = true;
  writing_since_ = absl::InfiniteDuration();
}

void LinkSession::Welcomed(const api::Welcome& welcome, const Moment& now) {
  phase_ = Phase::kOpen;
  heartbeat_period_ = DurationOr(welcome.heartbeat_period(), kDefaultHeartbeat);
  lease_ = DurationOr(welcome.lease(), kDefaultLease);
  next_heartbeat_ = now.boot;
  next_status_ = now.boot;
  unanswered_since_ = absl::InfiniteDuration();
  usage_changed_ = true;
}

LinkSession::Verdict LinkSession::Take(const api::Assignments& message, api::Assignments* batch) {
  const bool complete = message.type() == api::ASSIGNMENTS_TYPE_COMPLETE;
  if (complete && message.begin()) {
    complete_.emplace();
    complete_bytes_ = 0;
  }
  const bool in_place = complete ? complete_.has_value()
                                 : !complete_ && !asked_complete_ && message.base() == version_;
  complete_bytes_ += complete ? message.ByteSizeLong() : 0;
  if (!in_place || complete_bytes_ > kMaxCompleteBytes) {
    complete_.reset();
    return std::exchange(asked_complete_, true) ? Verdict::kPending : Verdict::kGap;
  }
  if (complete) {
    complete_->MergeFrom(message);
    if (!message.end()) return Verdict::kPending;
    *batch = std::move(*complete_);
    complete_.reset();
    asked_complete_ = false;
  } else {
    *batch = message;
  }
  version_ = message.version();
  return Verdict::kApply;
}

void LinkSession::Applied(api::AssignmentsApplied applied, uint64_t needed_index) {
  if (applied_) {
    // The older answer was not sent yet: its refusals go with the newer one.
    api::AssignmentsApplied merged = std::move(*applied_);
    merged.set_version(applied.version());
    merged.set_resync(merged.resync() || applied.resync());
    merged.mutable_refused()->MergeFrom(applied.refused());
    applied = std::move(merged);
  }
  applied_ = std::move(applied);
  applied_index_ = needed_index;
}

void LinkSession::SetUsage(const api::ResourceTotals& usage) {
  usage_ = usage;
  usage_changed_ = true;
}

absl::Duration LinkSession::Granted(const api::LeaseGranted& granted, const Moment& now) {
  if (granted.has_heartbeat_period()) {
    heartbeat_period_ = DurationOr(granted.heartbeat_period(), heartbeat_period_);
    next_heartbeat_ = std::min(next_heartbeat_, now.boot + heartbeat_period_);
  }
  unanswered_since_ = granted.number() == heartbeat_ ? absl::InfiniteDuration() : now.boot;
  const auto sent = heartbeats_.find(granted.number());
  if (sent == heartbeats_.end()) return -absl::InfiniteDuration();
  const absl::Duration end = sent->second + lease_;
  heartbeats_.erase(heartbeats_.begin(), std::next(sent));
  return end;
}

bool LinkSession::BeginCommand(int64_t id) {
  if (commands_.contains(id) || commands_.size() >= 2 * kMaxCommands) return false;
  const bool room = commands_.size() < kMaxCommands;
  commands_[id];
  if (room) return true;
  EndCommand(id, std::nullopt,
             absl::ResourceExhaustedError("too many commands are open on this node; try again"));
  return false;
}

std::vector<int64_t> LinkSession::OpenCommands() const {
  std::vector<int64_t> ids;
  for (const auto& [id, answer] : commands_) {
    if (!answer.result) ids.push_back(id);
  }
  return ids;
}

void LinkSession::EndCommand(int64_t id, std::optional<api::LogChunk> chunk,
                             const absl::Status& status) {
  const auto it = commands_.find(id);
  if (it == commands_.end()) return;
  it->second.chunk = std::move(chunk);
  it->second.result.emplace();
  it->second.result->set_id(id);
  *it->second.result->mutable_status() = ToProto(status);
}

std::shared_ptr<const LinkSession::Request> LinkSession::Next(ReportBook& reports,
                                                              uint64_t durable_index,
                                                              const Moment& now) {
  if (!writable_) return nullptr;
  auto request = std::make_shared<Request>();
  bool ready = false;
  if (phase_ == Phase::kHello && hello_index_ <= durable_index) {
    *request->mutable_hello() = std::move(hello_.front());
    hello_.pop_front();
    if (hello_.empty()) phase_ = Phase::kWelcome;
    ready = true;
  } else if (phase_ == Phase::kOpen) {
    ready = NextHeartbeat(now, request.get());
    if (!ready && applied_ && applied_index_ <= durable_index) {
      *request->mutable_assignments_applied() = std::move(*applied_);
      applied_.reset();
      ready = true;
    }
    if (!ready && now.boot >= next_status_) {
      if (auto status = reports.Take(options_.max_message_bytes, durable_index)) {
        *request->mutable_status() = std::move(*status);
        next_status_ = now.boot + options_.status_period;
        ready = true;
      }
    }
    if (!ready) ready = NextAnswer(request.get());
  }
  if (!ready) return nullptr;
  writable_ = false;
  writing_since_ = now.boot;
  return request;
}

bool LinkSession::NextHeartbeat(const Moment& now, Request* request) {
  if (now.boot < next_heartbeat_) return false;
  api::Heartbeat* heartbeat = request->mutable_heartbeat();
  heartbeat->set_number(++heartbeat_);
  if (std::exchange(usage_changed_, false)) *heartbeat->mutable_usage() = usage_;
  next_heartbeat_ = now.boot + heartbeat_period_;
  unanswered_since_ = std::min(unanswered_since_, now.boot);
  heartbeats_[heartbeat_] = now.boot;
  if (heartbeats_.size() > kMaxHeartbeats) heartbeats_.erase(heartbeats_.begin());
  return true;
}

bool LinkSession::NextAnswer(Request* request) {
  for (auto& [id, answer] : commands_) {
    if (answer.chunk) {
      *request->mutable_log_chunk() = std::move(*answer.chunk);
      answer.chunk.reset();
      return true;
    }
    if (answer.result) {
      *request->mutable_command_result() = std::move(*answer.result);
      commands_.erase(id);
      return true;
    }
  }
  return false;
}

absl::Duration LinkSession::deadline(const ReportBook& reports, const Moment& now) const {
  absl::Duration next = SilentAt();
  if (phase_ != Phase::kOpen || !writable_) return next;
  next = std::min(next, next_heartbeat_);
  // What is due but not durable waits for the journal, not for a time.
  if (reports.HasUnsent() && next_status_ > now.boot) next = std::min(next, next_status_);
  return next;
}

absl::Duration LinkSession::SilentAt() const {
  if (phase_ == Phase::kDown) return absl::InfiniteDuration();
  return std::min(unanswered_since_, writing_since_) + lease_;
}

}  // namespace appsup::agent
