#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "appsupervisor/v1/link.pb.h"
#include "common/random.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

using StreamId = uint64_t;
enum class Side { kAgent, kEntry };

// The agent's end of its streams. Told by events of their own, never from within a call.
class AgentSide {
 public:
  virtual ~AgentSide() = default;
  virtual void OnOpened(StreamId stream) = 0;
  virtual void OnReceived(StreamId stream,
                          std::shared_ptr<const appsupervisor::v1::ConnectResponse> message) = 0;
  virtual void OnWritten(StreamId stream) = 0;
  // The last: it broke, or was never opened.
  virtual void OnEnded(StreamId stream, const std::string& why) = 0;
};

// An entry process's end.
class EntrySide {
 public:
  virtual ~EntrySide() = default;
  virtual bool Listens() const = 0;
  // It takes in what has arrived.
  virtual bool Reads() const = 0;
  virtual void OnAccepted(StreamId stream, int node) = 0;
  virtual void OnReceived(StreamId stream,
                          std::shared_ptr<const appsupervisor::v1::ConnectRequest> message) = 0;
  virtual void OnWritten(StreamId stream) = 0;
  virtual void OnEnded(StreamId stream) = 0;
};

// Streams between agents and entries. What is sent in one direction of one stream arrives in order,
// everything else may overtake. A blocked direction loses nothing: it waits, as TCP would, until it
// is open again, the stream is given up, or the stream has become a black hole that neither side
// knows of. A sender may write on until a window is full.
class Network {
 public:
  Network(World& world, int nodes);

  void SetAgent(int node, AgentSide* agent) { nodes_[static_cast<size_t>(node)].agent = agent; }
  // Where new streams go. nullptr: nobody listens.
  void SetEntry(EntrySide* entry) { entry_ = entry; }
  // Asked first; nullptr: where the others go.
  using Detour = std::function<EntrySide*(int node)>;
  void SetDetour(Detour detour) { detour_ = std::move(detour); }

  StreamId Open(int node);
  void Send(StreamId stream, std::shared_ptr<const appsupervisor::v1::ConnectRequest> message);
  void Send(StreamId stream, std::shared_ptr<const appsupervisor::v1::ConnectResponse> message);
  // This side is done with it and hears no more of it; the other is told after what was sent.
  void Close(StreamId stream, Side by);
  // The process at this end died. What it had sent and had not arrived is lost.
  void Abort(StreamId stream, Side by);
  // The machine at the entry's end lost power: nobody tells the agent.
  void Vanish(StreamId stream);

  void Block(int node, Side from, bool blocked);
  void Heal(int node);
  // Streams of this node that are open now are dead without anybody being told.
  void BlackHole(int node);
  // They break, and both sides hear of it.
  void Reset(int node);
  // The next statements for this node vanish and the stream goes on; it is dead after EndGap if
  // nothing followed that shows the gap.
  void MakeGap(int node) { nodes_[static_cast<size_t>(node)].gap_due = true; }
  void EndGap(int node);
  // COMPLETE statements come in parts, with pauses between them.
  void SetSmallParts(int node, bool small) {
    nodes_[static_cast<size_t>(node)].small_parts = small;
  }
  void SetDelay(int node, absl::Duration low, absl::Duration high);
  // An agent that is stopped does not read.
  void SetReads(int node, bool reads);
  // It reads again.
  void Kick(const EntrySide* entry);
  // So many attempts to connect are refused.
  void Refuse(int node, int attempts) { nodes_[static_cast<size_t>(node)].refusals = attempts; }
  absl::Duration DelayOf(int node);

 private:
  struct Packet {
    std::shared_ptr<const appsupervisor::v1::ConnectRequest> up;
    std::shared_ptr<const appsupervisor::v1::ConnectResponse> down;
    bool end = false;
    bool more = false;          // Parts of the same message follow.
    bool owes_written = false;  // The sender waits until this has left the window.
    absl::Duration due;
  };
  struct Channel {
    std::deque<Packet> packets;
    absl::Duration last_due;
    bool planned = false;
  };
  struct Stream {
    int node = 0;
    EntrySide* entry = nullptr;
    bool agent_open = true;
    bool entry_open = false;
    bool dead = false;
    bool has_gap = false;             // That nothing has shown yet.
    std::array<Channel, 2> channels;  // By the sending side.
  };
  struct Node {
    AgentSide* agent = nullptr;
    std::array<bool, 2> blocked{};
    bool reads = true;
    int refusals = 0;
    bool gap_due = false;
    bool small_parts = false;
    absl::Duration low = absl::Microseconds(200);
    absl::Duration high = absl::Milliseconds(2);
  };

  Stream* Find(StreamId id);
  Node& NodeOf(const Stream& stream) { return nodes_[static_cast<size_t>(stream.node)]; }
  void Arrive(StreamId id);
  void EndAgent(StreamId id, const std::string& why, absl::Duration delay);
  void Push(StreamId id, Stream& stream, Side from, Packet packet);
  bool Reads(const Stream& stream, Side side);
  void Plan(StreamId id, Stream& stream, Side from);
  void Deliver(StreamId id, Side from);
  void Hand(StreamId id, Stream& stream, Side from, const Packet& packet);
  bool Vanishes(Stream& stream, const appsupervisor::v1::ConnectResponse& message);
  void PushInParts(StreamId id, Stream& stream, const appsupervisor::v1::ConnectResponse& message);
  void TellWritten(StreamId id, Side side, absl::Duration delay);
  void KickAll(int node);
  void DropIfDone(StreamId id);

  World& world_;
  SeededRandom random_;
  std::vector<Node> nodes_;
  EntrySide* entry_ = nullptr;
  Detour detour_;
  std::map<StreamId, Stream> streams_;
  StreamId last_ = 0;
};

}  // namespace appsup::simulation
