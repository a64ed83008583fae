#include "tests/simulation/entry_host.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/id.h"

namespace appsup::simulation {

EntryHost::EntryHost(World& world, Network& network, Observer& observer, Disk& disk,
                     entry::CoreOptions options, const std::string& name, double clock_rate,
                     NodeUid node_uid)
    : world_(world),
      network_(network),
      watching_(observer),
      shared_(disk),
      observer_(&observer),
      disk_(&disk),
      options_(options),
      name_(name),
      node_uid_(std::move(node_uid)),
      random_(world.Stream(name)),
      clock_(clock_rate) {}

EntryHost::~EntryHost() = default;

void EntryHost::Start() {
  if (up_) return;
  world_.Note(name_, "entry-start");
  up_ = true;
  ++life_;
  Lead(Between(random_, absl::Milliseconds(5), absl::Milliseconds(50)));
}

void EntryHost::Crash(bool power) {
  if (!up_) return;
  world_.Note(name_, "entry-crash", power ? "power" : "");
  up_ = false;
  ++life_;
  ++term_;
  if (power) {
    ++boots_;
    clock_.Reboot(world_.now());
  }
  // A commit that was under way may have reached the disk.
  if (busy_ && disk_->durable.epoch() == epoch_ && Chance(random_, 50)) Write(committing_);
  busy_ = false;
  committing_.clear();
  uncommitted_.clear();
  core_.reset();
  waiting_.clear();
  turn_planned_ = false;
  paused_ = false;
  held_.clear();
  AbortStreams(power);
  Gone(absl::UnavailableError("connection reset by peer"));
  disk_ = &shared_;
  observer_ = &watching_;
}

void EntryHost::Pause() {
  if (up_) paused_ = true;
}

void EntryHost::Resume() {
  if (!std::exchange(paused_, false)) return;
  network_.Kick(this);
  for (auto& what : std::exchange(held_, {})) what();
}

void EntryHost::CutOff(Disk& copy) {
  static Observer nobody;
  world_.Note(name_, "entry-cut-off");
  disk_ = &copy;
  copy.leader = this;
  observer_ = &nobody;
  for (const auto& [stream, node] : streams_) Post(entry::AgentDisconnected{stream});
  AbortStreams(false);
  for (const auto& [id, open] : calls_) Post(entry::CallCancelled{id});
  Gone(absl::UnavailableError("connection reset by peer"));
}

void EntryHost::AbortStreams(bool power) {
  for (const auto& [stream, node] : std::exchange(streams_, {})) {
    if (power) {
      network_.Vanish(stream);
    } else {
      network_.Abort(stream, Side::kEntry);
    }
  }
}

void EntryHost::SetWatchDelay(absl::Duration low, absl::Duration high) {
  watch_low_ = low;
  watch_high_ = high;
}

void EntryHost::Later(absl::Duration after, std::function<void()> what) {
  world_.After(after, [this, life = life_, what = std::move(what)]() mutable {
    if (life != life_) return;
    if (!paused_) return what();
    held_.push_back([this, life, what = std::move(what)] {
      if (life == life_) what();
    });
  });
}

void EntryHost::Call(const ClientCall& call, Answer answer) {
  if (!up_) return answer(absl::UnavailableError("connection refused"));
  calls_[call.id] = {call, std::move(answer), std::nullopt};
  PostCall(call);
}

void EntryHost::Call(const ClientCall& call, Watch watch) {
  if (!up_) return watch.end(absl::UnavailableError("connection refused"));
  calls_[call.id] = {call, nullptr, std::move(watch)};
  PostCall(call);
}

void EntryHost::PostCall(const ClientCall& call) {
  entry::ApiCall event;
  event.call = call.id;
  event.method = absl::StrCat("appsupervisor.v1.", call.method);
  event.request = call.request;
  event.principal = {"token:admin", entry::Role::kAdmin, ""};
  for (int at = 0; at < 4; ++at) {
    const uint64_t bits = random_.Next();
    event.entropy.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
  Post(std::move(event));
}

void EntryHost::Forget(entry::CallId id) {
  if (calls_.erase(id) > 0 && up_) Post(entry::CallCancelled{id});
}

void EntryHost::OnAccepted(StreamId stream, int node) {
  streams_[stream] = node;
  entry::AgentConnected event;
  event.session = stream;
  event.node = absl::StrCat("n", node + 1);
  event.node_uid = node_uid_(node);
  event.peer = absl::StrCat("10.0.0.", node + 1, ":4000");
  event.secret = NewUuid(random_);
  event.certificate_expires = Now().wall + absl::Hours(24 * 3650);
  Post(std::move(event));
}

void EntryHost::OnReceived(StreamId stream,
                           std::shared_ptr<const appsupervisor::v1::ConnectRequest> message) {
  if (up_ && streams_.contains(stream)) Post(entry::AgentMessage{stream, std::move(message)});
}

void EntryHost::OnWritten(StreamId stream) {
  if (!up_ || !streams_.contains(stream)) return;
  observer_->OnEntryWritable(stream);
  Post(entry::AgentWritable{stream});
}

void EntryHost::OnEnded(StreamId stream) {
  if (streams_.erase(stream) > 0 && up_) Post(entry::AgentDisconnected{stream});
}

void EntryHost::Post(entry::Event event) {
  waiting_.push_back(std::move(event));
  if (std::exchange(turn_planned_, true)) return;
  Later(Between(random_, absl::Microseconds(20), absl::Microseconds(200)), [this] { Turn(); });
}

void EntryHost::Turn() {
  turn_planned_ = false;
  for (entry::Event& event : std::exchange(waiting_, {})) {
    if (core_ == nullptr) {
      HandleWithoutCore(event);
    } else {
      core_->Handle(std::move(event), Now());
    }
  }
  if (core_ == nullptr) return;
  for (entry::Effect& effect : core_->Flush(Now())) Perform(effect);
}

void EntryHost::HandleWithoutCore(const entry::Event& event) {
  const absl::Status why = absl::UnavailableError("the entry has no access to its catalog");
  if (const auto* call = std::get_if<entry::ApiCall>(&event)) {
    EndCall(call->call, why);
  } else if (const auto* agent = std::get_if<entry::AgentConnected>(&event)) {
    CloseStream(agent->session);
  }
}

}  // namespace appsup::simulation
