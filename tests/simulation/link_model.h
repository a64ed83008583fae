#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "agent/core/link_event.h"
#include "common/backoff.h"
#include "tests/simulation/network.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// The agent's end of the link, as agent/link does it: one stream, opened again as often as it
// breaks, with a delay that grows and is drawn evenly between 0 and its ceiling; Goodbyes are
// heeded. Belongs to one process of the agent.
class LinkModel : public AgentSide {
 public:
  using Tell = std::function<void(agent::LinkEvent)>;

  LinkModel(World& world, Network& network, int node, Tell tell);
  ~LinkModel() override;

  void Send(uint64_t connection, std::shared_ptr<const appsupervisor::v1::ConnectRequest> message);
  void Close(uint64_t connection, const std::string& reason);
  // The node was enrolled again.
  void Enrolled();
  // An entry said a final Goodbye.
  bool ended_for_good() const { return final_; }
  StreamId stream() const { return stream_; }

  void OnOpened(StreamId stream) override;
  void OnReceived(StreamId stream,
                  std::shared_ptr<const appsupervisor::v1::ConnectResponse> message) override;
  void OnWritten(StreamId stream) override;
  void OnEnded(StreamId stream, const std::string& why) override;

 private:
  void Connect();
  void RetryLater();

  World& world_;
  Network& network_;
  const int node_;
  Tell tell_;
  SeededRandom random_;
  StreamId stream_ = 0;  // 0: none.
  uint64_t connection_ = 0;
  bool up_ = false;
  uint32_t attempt_ = 0;
  absl::Duration goodbye_delay_;
  bool final_ = false;
  uint64_t identity_ = 0;         // Counts the certificates that it was given.
  uint64_t stream_identity_ = 0;  // The one that its stream was opened with.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace appsup::simulation
