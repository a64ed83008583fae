// What the agent's core wants done, and how this machine does it.
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/simulation/agent_host.h"

namespace appsup::simulation {
namespace {

constexpr absl::Duration kSoon = absl::Microseconds(50);
constexpr absl::Duration kCheckPeriod = absl::Milliseconds(200);

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

std::string Describe(const agent::Note& note) {
  std::string text;
  for (const auto& [key, value] : note.fields) absl::StrAppend(&text, " ", key, "=", value);
  return text;
}

}  // namespace

void AgentHost::Perform(agent::Effect& effect) {
  std::visit(Overloaded{
                 [&](agent::WriteJournal& write) { journal_.Append(std::move(write)); },
                 [&](const agent::StartProcess& start) {
                   world_.Note(id(), "start", start.request.id.instance_uid, [&] {
                     return absl::StrCat(start.request.id.instance_uid, " attempt ",
                                         start.request.id.attempt);
                   });
                   observer_.OnAsked(node_, start);
                   driver_->Start(start.request);
                 },
                 [&](const agent::StopProcess& stop) {
                   world_.Note(id(), "stop", stop.id.instance_uid);
                   observer_.OnAsked(node_, stop);
                   driver_->Stop(stop.id, stop.signal, stop.grace);
                 },
                 [&](const agent::KillProcess& kill) {
                   world_.Note(id(), "kill", kill.id.instance_uid);
                   observer_.OnAsked(node_, kill);
                   driver_->Stop(kill.id, 9, absl::ZeroDuration());
                 },
                 [&](const agent::AckExit& ack) {
                   observer_.OnAsked(node_, ack);
                   driver_->Acknowledge(ack.id);
                 },
                 [&](agent::SetFences& fences) { driver_->SetFences(std::move(fences.changes)); },
                 [&](const agent::RemoveFolders& remove) {
                   observer_.OnAsked(node_, remove);
                   driver_->RemoveFolders(remove.token);
                 },
                 [&](agent::SendMessage& send) {
                   observer_.OnAgentSays(node_, link_->stream(), *send.message);
                   link_->Send(send.connection, std::move(send.message));
                 },
                 [&](const agent::CloseLink& close) {
                   world_.Note(id(), "close-link", "", [&] { return close.reason; });
                   link_->Close(close.connection, close.reason);
                 },
                 [&](const agent::PrepareArtifact& prepare) { Perform(prepare); },
                 [&](const agent::CancelArtifact& cancel) { artifacts_.erase(cancel.token); },
                 [&](const agent::CheckPorts& check) { Perform(check); },
                 [&](const agent::StartCheck& check) { Perform(check); },
                 [&](const agent::StopCheck& check) {
                   checks_.erase({check.uid, check.attempt});
                 },
                 [&](const agent::ReadLogTail& read) {
                   Tell(kSoon, agent::LogTailRead{read.uid, read.attempt, {"last words"}});
                 },
                 [&](const agent::ReadLog& read) {
                   Tell(kSoon, agent::LogRead{read.connection,
                                              read.command_id,
                                              absl::NotFoundError("no such log"),
                                              false,
                                              {}});
                 },
                 [&](const agent::CancelRead&) {},
                 [&](const agent::SetTimer& timer) { Perform(timer); },
                 [&](const agent::Note& note) {
                   world_.Note(id(), note.event, "", [&] { return Describe(note); });
                 },
             },
             effect);
}

void AgentHost::Perform(const agent::PrepareArtifact& prepare) {
  artifacts_.insert(prepare.token);
  const std::string uri = prepare.artifact.uri();
  Later(Between(random_, absl::Milliseconds(5), absl::Milliseconds(800)),
        [this, token = prepare.token, uri] {
          if (artifacts_.erase(token) == 0) return;
          agent::ArtifactPrepared done;
          done.token = token;
          if (absl::StrContains(uri, "missing")) {
            done.status = absl::NotFoundError("HTTP status 404");
            done.lasting = true;
          } else if (!fetches) {
            done.status = absl::UnavailableError("the server does not answer");
          } else {
            done.folder = absl::StrCat("/cache/", uri.size());
            done.sha256 = std::string(64, static_cast<char>('a' + uri.size() % 6));
          }
          Post(std::move(done));
        });
}

void AgentHost::Perform(const agent::CheckPorts& check) {
  agent::PortsChecked checked{check.token, {}};
  for (const agent::PortToCheck& port : check.ports) {
    bool busy = busy_ports.contains(port.number);
    for (const Tree* tree : keeper_.Trees()) {
      for (const int32_t used : tree->ports) busy = busy || used == port.number;
    }
    if (busy) checked.busy.push_back(port.number);
  }
  Tell(kSoon, std::move(checked));
}

// The verdict follows from when the process began.
void AgentHost::Perform(const agent::StartCheck& check) {
  const std::pair key{check.uid, check.attempt};
  checks_.insert(key);
  const Tree* tree = keeper_.FindRunning(check.uid, check.attempt);
  if (tree == nullptr) {  // It is just being started, or has ended.
    return Later(kCheckPeriod, [this, key, check] {
      if (checks_.contains(key)) Perform(check);
    });
  }
  const absl::Duration ready = tree->start + tree->plan.ready + kCheckPeriod;
  const bool never = tree->plan.never_ready;
  Later(std::max(kSoon, ready - world_.now()), [this, key, never] {
    if (!checks_.contains(key)) return;
    Post(agent::ReadinessChanged{key.first, key.second, !never, never ? "connection refused" : ""});
  });
}

void AgentHost::Perform(const agent::SetTimer& timer) {
  const uint64_t number = ++timer_;
  if (timer.boot_deadline == absl::InfiniteDuration()) return;
  world_.At(clock_.WhenBootIs(timer.boot_deadline), [this, life = life_, number] {
    if (life == life_ && number == timer_) Post(agent::TimerDue{});
  });
}

}  // namespace appsup::simulation
