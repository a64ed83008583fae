#include "tests/simulation/driver_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace appsup::simulation {

DriverModel::DriverModel(World& world, KeeperModel& keeper, int node)
    : world_(world), keeper_(keeper), random_(world.Stream(absl::StrCat("driver", node))) {}

DriverModel::~DriverModel() {
  *alive_ = false;
  keeper_.SetOnExited(nullptr);
}

void DriverModel::Open(std::function<void(agent::Event)> tell) {
  tell_ = std::move(tell);
  Connect();
}

void DriverModel::Connect() {
  if (connected_ || !keeper_.up()) return;
  connected_ = true;
  ++connection_;
  keeper_.SetOnExited([this](const agent::ProcessId& id, const agent::ProcessExit& exit) {
    world_.After(absl::Microseconds(200), [this, alive = alive_, of = connection_, id, exit] {
      if (*alive && of == connection_ && connected_) tell_(agent::ProcessExited{id, exit});
    });
  });
  agent::DriverUp up;
  up.description = {
      "process", {"cpu", "memory", "pids", "user", "tree_kill", "deadline"}, "", "0.1"};
  up.inventory = keeper_.List();
  for (const auto& [number, request] : waiting_) Send(number);
  tell_(std::move(up));
}

void DriverModel::Disconnect() {
  if (!std::exchange(connected_, false)) return;
  ++connection_;
  keeper_.SetOnExited(nullptr);
  tell_(agent::DriverDown{absl::UnavailableError("the keeper closed the connection")});
}

void DriverModel::Ask(Request request) {
  const uint64_t number = next_++;
  waiting_[number] = std::move(request);
  if (connected_) Send(number);
}

// In order, like everything on one socket. The agent may be gone when it arrives; a keeper that
// crashed meanwhile never sees it.
void DriverModel::Send(uint64_t number) {
  last_due_ = std::max(last_due_, world_.now()) +
              Between(random_, absl::Microseconds(50), absl::Microseconds(300));
  world_.At(last_due_, [this, alive = alive_, of = connection_, number,
                        request = waiting_.at(number), &keeper = keeper_] {
    if (!keeper.up() || (*alive && of != connection_)) return;
    request(number);
  });
}

void DriverModel::Answered(uint64_t number, std::optional<agent::Event> event) {
  waiting_.erase(number);
  if (!event) return;
  world_.After(absl::Microseconds(100),
               [this, alive = alive_, event = std::move(*event)]() mutable {
                 if (*alive) tell_(std::move(event));
               });
}

void DriverModel::Start(const agent::StartRequest& request) {
  Ask([this, alive = alive_, &keeper = keeper_, request](uint64_t number) {
    keeper.Spawn(request,
                 [this, alive, number, id = request.id](absl::StatusOr<agent::Started> result) {
                   if (!*alive || !waiting_.contains(number)) return;
                   Answered(number, agent::ProcessStarted{id, std::move(result)});
                 });
  });
}

void DriverModel::Stop(const agent::ProcessId& id, int signal, absl::Duration grace) {
  Ask([this, alive = alive_, &keeper = keeper_, id, signal, grace](uint64_t number) {
    keeper.Stop(id, signal, grace);
    if (*alive) Answered(number, std::nullopt);
  });
}

void DriverModel::Acknowledge(const agent::ProcessId& id) {
  Ask([this, alive = alive_, &keeper = keeper_, id](uint64_t number) {
    keeper.Acknowledge(id);
    if (*alive) Answered(number, std::nullopt);
  });
}

void DriverModel::SetFences(std::vector<agent::FenceChange> changes) {
  Ask([this, alive = alive_, &keeper = keeper_, changes = std::move(changes)](uint64_t number) {
    keeper.SetFences(changes);
    agent::FencesSet set;
    for (const agent::FenceChange& change : changes) {
      if (change.fence) set.ids.push_back(change.id);
    }
    if (!*alive) return;
    if (set.ids.empty()) return Answered(number, std::nullopt);
    Answered(number, std::move(set));
  });
}

void DriverModel::RemoveFolders(uint64_t token) {
  Ask([this, alive = alive_, token](uint64_t number) {
    if (*alive) Answered(number, agent::FoldersRemoved{token, absl::OkStatus()});
  });
}

}  // namespace appsup::simulation
