#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "entry/core/entry_core.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/machine_clock.h"
#include "tests/simulation/network.h"
#include "tests/simulation/observer.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// How long a watcher takes to read an event.
inline constexpr absl::Duration kWatchLow = absl::Microseconds(50);
inline constexpr absl::Duration kWatchHigh = absl::Milliseconds(2);

// One entry process around a real core, doing what entry/core_thread.cc, entry/store_thread.cc and
// entry/link do: all that waits is handled, then one Flush; commits are made in groups, one at a
// time; when one fails the core is dropped and built anew from what is durable.
//
//   down ──Start──▶ electing ──the disk was read──▶ leading ──a commit failed──▶ electing
//    ▲                 │                               │
//    └─────Crash───────┴───────────Crash, fsync error──┘
class EntryHost : public EntrySide {
 public:
  // What streams and calls need of each node's certificate.
  using NodeUid = std::function<std::string(int node)>;
  using Answer = std::function<void(absl::StatusOr<entry::MessagePtr>)>;
  struct Watch {
    std::function<void(const api::Event&)> event;
    std::function<void(absl::Status)> end;
  };

  EntryHost(World& world, Network& network, Observer& observer, Disk& disk,
            entry::CoreOptions options, const std::string& name, double clock_rate,
            NodeUid node_uid);
  ~EntryHost() override;

  void Start();
  // The process dies. `power`: with its machine, so that nobody hears of it.
  void Crash(bool power);
  // SIGSTOP: it does nothing until Resume, and what is sent to it waits.
  void Pause();
  void Resume();
  // From now on it works on this copy of the store, and whoever was connected is gone; until it
  // crashes. Nobody looks at what it does: it is not the one that promises anything.
  void CutOff(Disk& copy);
  bool is_cut_off() const { return disk_ != &shared_; }
  void SetWatchDelay(absl::Duration low, absl::Duration high);
  bool up() const { return up_; }
  const entry::EntryCore* core() const { return core_.get(); }
  int64_t epoch() const { return epoch_; }
  MachineClock& clock() { return clock_; }
  Moment Now() const { return clock_.Now(world_.now()); }
  const std::string& name() const { return name_; }

  // Ids are never used twice. Exactly one answer comes; UNAVAILABLE also when it dies meanwhile.
  void Call(const ClientCall& call, Answer answer);
  void Call(const ClientCall& call, Watch watch);
  // The caller went away: nothing comes any more.
  void Forget(entry::CallId id);

  // EntrySide.
  bool Listens() const override { return up_; }
  bool Reads() const override { return !paused_; }
  void OnAccepted(StreamId stream, int node) override;
  void OnReceived(StreamId stream,
                  std::shared_ptr<const appsupervisor::v1::ConnectRequest> message) override;
  void OnWritten(StreamId stream) override;
  void OnEnded(StreamId stream) override;

 private:
  // entry_host.cc
  void Post(entry::Event event);
  void Turn();
  void HandleWithoutCore(const entry::Event& event);
  void Later(absl::Duration after, std::function<void()> what);
  void PostCall(const ClientCall& call);
  // entry_effects.cc
  void Perform(entry::Effect& effect);
  void SetTimer(absl::Duration boot);
  void EndCall(entry::CallId id, absl::StatusOr<entry::MessagePtr> reply);
  void EndStream(entry::CallId id, const absl::Status& status);
  void CloseStream(StreamId stream);
  // entry_store.cc
  void Lead(absl::Duration delay);
  void Led();
  void BeginCommit();
  void EndCommit(CommitFault fault);
  void Write(const std::vector<entry::Transaction>& group);
  void Failed(const absl::Status& status);
  void Gone(const absl::Status& why);
  void AbortStreams(bool power);

  struct Open {
    ClientCall call;
    Answer answer;
    std::optional<Watch> watch;
  };

  World& world_;
  Network& network_;
  Observer& watching_;
  Disk& shared_;
  Observer* observer_;
  Disk* disk_;
  const entry::CoreOptions options_;
  const std::string name_;
  const NodeUid node_uid_;
  SeededRandom random_;
  MachineClock clock_;
  int boots_ = 1;
  bool up_ = false;
  bool paused_ = false;
  std::deque<std::function<void()>> held_;  // What became due meanwhile.
  uint64_t life_ = 0;                       // Of the process; of a term.
  uint64_t term_ = 0;
  std::unique_ptr<entry::EntryCore> core_;
  int64_t epoch_ = 0;
  std::deque<entry::Event> waiting_;
  bool turn_planned_ = false;
  uint64_t timer_ = 0;
  std::map<StreamId, int> streams_;  // Node of each.
  std::map<entry::CallId, Open> calls_;
  std::vector<entry::Transaction> uncommitted_;
  std::vector<entry::Transaction> committing_;
  bool busy_ = false;
  uint32_t failures_ = 0;
  absl::Duration watch_low_ = kWatchLow;
  absl::Duration watch_high_ = kWatchHigh;
};

}  // namespace appsup::simulation
