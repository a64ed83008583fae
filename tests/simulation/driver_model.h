#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "agent/core/event.h"
#include "tests/simulation/keeper_model.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// The agent's end of its keeper, as agent/driver/process_driver.h does it: requests are kept until
// they are answered, and sent again, in order, after each reconnect. Belongs to one process of the
// agent; what it had sent when that dies still reaches the keeper.
class DriverModel {
 public:
  DriverModel(World& world, KeeperModel& keeper, int node);
  ~DriverModel();

  // Tells the events of the driver from now on, and connects.
  void Open(std::function<void(agent::Event)> tell);

  void Start(const agent::StartRequest& request);
  void Stop(const agent::ProcessId& id, int signal, absl::Duration grace);
  void Acknowledge(const agent::ProcessId& id);
  void SetFences(std::vector<agent::FenceChange> changes);
  void RemoveFolders(uint64_t token);

  // The keeper ended, for good or for a moment.
  void Disconnect();
  void Connect();
  size_t waiting() const { return waiting_.size(); }

 private:
  // Performs it at the keeper; answers by the event, if there is one to answer with.
  using Request = std::function<void(uint64_t number)>;

  void Ask(Request request);
  void Send(uint64_t number);
  // `number` was answered, by this event if there is one.
  void Answered(uint64_t number, std::optional<agent::Event> event);

  World& world_;
  KeeperModel& keeper_;
  SeededRandom random_;
  std::function<void(agent::Event)> tell_;
  std::map<uint64_t, Request> waiting_;
  uint64_t next_ = 1;
  bool connected_ = false;
  uint64_t connection_ = 0;
  absl::Duration last_due_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace appsup::simulation
