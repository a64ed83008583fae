#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/driver/driver.h"
#include "agent/driver/keeper_link.h"
#include "appsupervisor/keeper/v1/keeper.pb.h"
#include "common/clock.h"
#include "common/event_loop.h"

namespace appsup::agent {

// Hosts processes by way of the keeper. Loop thread only.
//
//   closed ──link open──▶ greeting ──Hello answered──▶ listing ──last page──▶ ready
//      ▲                                                                         │
//      └───────────────────────── link closed ──────────────────────────────────┘
//
// Requests are kept until they are answered and sent again, in order, after each reconnect: the
// keeper takes every one of them twice without harm.
class ProcessDriver : public Driver {
 public:
  // `version` is the agent's, for the keeper's log.
  ProcessDriver(EventLoop& loop, Clock& clock, std::string socket_path, std::string version);

  void Open(DriverListener& listener) override;
  DriverDescription Describe() const override { return description_; }
  void Start(StartRequest request) override;
  void Stop(const ProcessId& id, int signal, absl::Duration grace) override;
  void Kill(const ProcessId& id) override;
  void AckExit(const ProcessId& id) override;
  void SetFences(std::vector<FenceChange> changes) override;
  void RemoveFolders(uint64_t token, std::vector<std::string> paths) override;
  void SetLimits(const ProcessId& id, const ProcessLimits& limits) override;
  void SampleUsage() override;

 private:
  enum class State { kClosed, kGreeting, kListing, kReady };
  struct Waiting {
    keeper_pb::Request request;
    uint64_t token = 0;  // RemoveFolders.
  };
  struct CpuMark {
    int64_t cpu_micros;
    int64_t boot_nanos;
  };

  void OnOpen();
  void OnClosed(const absl::Status& why);
  void OnResponse(keeper_pb::Response response);
  void OnHello(const keeper_pb::Response& response);
  void Refuse(const absl::Status& why);
  void OnList(const keeper_pb::Response& response);
  void OnUsage(const keeper_pb::Response& response);
  void OnExited(const keeper_pb::ExitedProcess& exited);
  void AskForUsage(const std::string& page_token);
  void AddSample(const keeper_pb::SampleUsageResponse::Sample& sample);
  void Answer(const Waiting& waiting, const keeper_pb::Response& response);

  void Ask(keeper_pb::Request request, uint64_t token = 0);
  void AskControl(keeper_pb::Request request);
  void SendFences();
  void TakeBackFences();
  void OnFencesSet(const keeper_pb::SetFencesRequest& request);
  // What waits for the keeper is bounded by the number of processes, however often it is asked for:
  // false if the same already waits; older limits of the process make room for new ones.
  bool Overtakes(const keeper_pb::Request& request);

  EventLoop& loop_;
  const std::string version_;
  KeeperLink link_;
  DriverListener* listener_ = nullptr;
  State state_ = State::kClosed;
  DriverDescription description_;
  Inventory inventory_;   // While listing.
  bool refused_ = false;  // The connection ends because one cannot work with the other.
  uint64_t next_id_ = 1;
  uint64_t control_id_ = 0;  // The Hello or List under way.
  uint64_t usage_id_ = 0;    // The SampleUsage under way; 0: none.
  std::map<uint64_t, Waiting> waiting_;
  std::map<ProcessId, std::optional<keeper_pb::Fence>> fences_;  // To be sent when ready.
  std::vector<ProcessUsage> usage_;
  std::map<ProcessId, CpuMark> marks_;
  std::map<ProcessId, CpuMark> fresh_marks_;
};

}  // namespace appsup::agent
