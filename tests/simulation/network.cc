#include "tests/simulation/network.h"

#include <algorithm>
#include <utility>

namespace appsup::simulation {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(20);
constexpr size_t kWindow = 3;  // Messages that a sender may have on the way before it waits.

size_t At(Side side) { return static_cast<size_t>(side); }
Side Other(Side side) { return side == Side::kAgent ? Side::kEntry : Side::kAgent; }

}  // namespace

Network::Network(World& world, int nodes)
    : world_(world), random_(world.Stream("network")), nodes_(static_cast<size_t>(nodes)) {}

Network::Stream* Network::Find(StreamId id) {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : &it->second;
}

absl::Duration Network::DelayOf(int node) {
  const Node& it = nodes_[static_cast<size_t>(node)];
  return Between(random_, it.low, it.high);
}

StreamId Network::Open(int node) {
  const StreamId id = ++last_;
  streams_[id].node = node;
  world_.After(2 * DelayOf(node), [this, id] { Arrive(id); });
  return id;
}

// The connection reached the other side, or it did not.
void Network::Arrive(StreamId id) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  if (!stream->agent_open) {
    streams_.erase(id);
    return;
  }
  Node& node = NodeOf(*stream);
  if (node.blocked[0] || node.blocked[1]) {
    return EndAgent(id, "the entry did not answer in time", kConnectTimeout);
  }
  EntrySide* entry = detour_ ? detour_(stream->node) : nullptr;
  if (entry == nullptr) entry = entry_;
  if (entry != nullptr && entry->Listens() && !entry->Reads()) {
    return EndAgent(id, "the entry did not answer in time", kConnectTimeout);
  }
  if (entry == nullptr || !entry->Listens() || node.refusals > 0) {
    if (node.refusals > 0) --node.refusals;
    return EndAgent(id, "connection refused", DelayOf(stream->node));
  }
  stream->entry = entry;
  stream->entry_open = true;
  entry->OnAccepted(id, stream->node);
  world_.After(DelayOf(stream->node), [this, id] {
    Stream* opened = Find(id);
    if (opened != nullptr && opened->agent_open) NodeOf(*opened).agent->OnOpened(id);
  });
}

void Network::EndAgent(StreamId id, const std::string& why, absl::Duration delay) {
  world_.After(delay, [this, id, why] {
    Stream* stream = Find(id);
    if (stream == nullptr) return;
    AgentSide* agent = NodeOf(*stream).agent;
    const bool was_open = std::exchange(stream->agent_open, false);
    DropIfDone(id);
    if (was_open) agent->OnEnded(id, why);
  });
}

void Network::Send(StreamId id, std::shared_ptr<const appsupervisor::v1::ConnectRequest> message) {
  Stream* stream = Find(id);
  if (stream == nullptr || !stream->agent_open) return;
  Packet packet;
  packet.up = std::move(message);
  Push(id, *stream, Side::kAgent, std::move(packet));
}

void Network::Send(StreamId id, std::shared_ptr<const appsupervisor::v1::ConnectResponse> message) {
  Stream* stream = Find(id);
  if (stream == nullptr || !stream->entry_open) return;
  if (Vanishes(*stream, *message)) {
    return TellWritten(id, Side::kEntry, absl::Microseconds(20));
  }
  const auto& statements = message->assignments();
  if (NodeOf(*stream).small_parts && statements.begin() && statements.assignments_size() > 1) {
    return PushInParts(id, *stream, *message);
  }
  Packet packet;
  packet.down = std::move(message);
  Push(id, *stream, Side::kEntry, std::move(packet));
}

// Only INCREMENTAL statements: of a COMPLETE set no part can be missed and the rest come.
bool Network::Vanishes(Stream& stream, const appsupervisor::v1::ConnectResponse& message) {
  const auto& statements = message.assignments();
  if (statements.assignments_size() == 0) return false;
  Node& node = NodeOf(stream);
  const bool incremental = statements.type() == appsupervisor::v1::ASSIGNMENTS_TYPE_INCREMENTAL;
  if (incremental && std::exchange(node.gap_due, false)) {
    stream.has_gap = true;
    return true;
  }
  stream.has_gap = false;
  return false;
}

void Network::PushInParts(StreamId id, Stream& stream,
                          const appsupervisor::v1::ConnectResponse& message) {
  const int count = message.assignments().assignments_size();
  for (int at = 0; at < count; ++at) {
    auto part = std::make_shared<appsupervisor::v1::ConnectResponse>(message);
    auto& statements = *part->mutable_assignments();
    statements.clear_assignments();
    *statements.add_assignments() = message.assignments().assignments(at);
    statements.set_begin(at == 0);
    statements.set_end(at + 1 == count && message.assignments().end());
    Packet packet;
    packet.down = std::move(part);
    packet.more = at + 1 < count;
    absl::Duration& due = stream.channels[At(Side::kEntry)].last_due;
    due = std::max(due, world_.now()) +
          Between(random_, absl::ZeroDuration(), absl::Milliseconds(300));
    Push(id, stream, Side::kEntry, std::move(packet));
  }
}

void Network::Push(StreamId id, Stream& stream, Side from, Packet packet) {
  Channel& channel = stream.channels[At(from)];
  channel.last_due = std::max(channel.last_due, world_.now() + DelayOf(stream.node));
  packet.due = channel.last_due;
  if (!packet.end && !packet.more) {
    packet.owes_written = channel.packets.size() >= kWindow;
    if (!packet.owes_written) TellWritten(id, from, absl::Microseconds(20));
  }
  channel.packets.push_back(std::move(packet));
  Plan(id, stream, from);
}

void Network::TellWritten(StreamId id, Side side, absl::Duration delay) {
  world_.After(delay, [this, id, side] {
    Stream* stream = Find(id);
    if (stream == nullptr) return;
    if (side == Side::kAgent && stream->agent_open) NodeOf(*stream).agent->OnWritten(id);
    if (side == Side::kEntry && stream->entry_open) stream->entry->OnWritten(id);
  });
}

void Network::Plan(StreamId id, Stream& stream, Side from) {
  Channel& channel = stream.channels[At(from)];
  const Node& node = NodeOf(stream);
  if (channel.planned || channel.packets.empty() || stream.dead || node.blocked[At(from)]) return;
  if (!Reads(stream, Other(from))) return;
  channel.planned = true;
  world_.At(channel.packets.front().due, [this, id, from] { Deliver(id, from); });
}

bool Network::Reads(const Stream& stream, Side side) {
  if (side == Side::kAgent) return NodeOf(stream).reads;
  return stream.entry == nullptr || stream.entry->Reads();
}

void Network::Kick(const EntrySide* entry) {
  for (auto& [id, stream] : streams_) {
    if (stream.entry == entry) Plan(id, stream, Side::kAgent);
  }
}

void Network::Deliver(StreamId id, Side from) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  Channel& channel = stream->channels[At(from)];
  channel.planned = false;
  const Node& node = NodeOf(*stream);
  if (channel.packets.empty() || stream->dead || node.blocked[At(from)]) return;
  if (!Reads(*stream, Other(from))) return;
  const Packet packet = std::move(channel.packets.front());
  channel.packets.pop_front();
  if (channel.packets.size() >= kWindow && channel.packets[kWindow - 1].owes_written) {
    channel.packets[kWindow - 1].owes_written = false;
    TellWritten(id, from, absl::ZeroDuration());
  }
  Plan(id, *stream, from);
  Hand(id, *stream, from, packet);
}

void Network::Hand(StreamId id, Stream& stream, Side from, const Packet& packet) {
  if (from == Side::kAgent) {
    if (!stream.entry_open) return;  // A reset is on its way back.
    if (packet.up != nullptr) return stream.entry->OnReceived(id, packet.up);
    stream.entry_open = false;
    EntrySide* entry = stream.entry;
    DropIfDone(id);
    return entry->OnEnded(id);
  }
  if (!stream.agent_open) return;
  if (packet.down != nullptr) return NodeOf(stream).agent->OnReceived(id, packet.down);
  stream.agent_open = false;
  AgentSide* agent = NodeOf(stream).agent;
  DropIfDone(id);
  agent->OnEnded(id, "the entry ended the stream");
}

void Network::Close(StreamId id, Side by) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  (by == Side::kAgent ? stream->agent_open : stream->entry_open) = false;
  stream->channels[At(Other(by))].packets.clear();
  if (by == Side::kAgent ? stream->entry_open : stream->agent_open) {
    Packet packet;
    packet.end = true;
    Push(id, *stream, by, std::move(packet));
  }
  DropIfDone(id);
}

void Network::Abort(StreamId id, Side by) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  stream->channels[At(by)].packets.clear();
  Close(id, by);
}

void Network::Vanish(StreamId id) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  stream->entry_open = false;
  stream->dead = true;
  DropIfDone(id);
}

void Network::DropIfDone(StreamId id) {
  Stream* stream = Find(id);
  if (stream != nullptr && !stream->agent_open && !stream->entry_open) streams_.erase(id);
}

void Network::KickAll(int node) {
  for (auto& [id, stream] : streams_) {
    if (stream.node != node) continue;
    Plan(id, stream, Side::kAgent);
    Plan(id, stream, Side::kEntry);
  }
}

void Network::Block(int node, Side from, bool blocked) {
  nodes_[static_cast<size_t>(node)].blocked[At(from)] = blocked;
  if (!blocked) KickAll(node);
}

void Network::Heal(int node) {
  Node& it = nodes_[static_cast<size_t>(node)];
  it.refusals = 0;
  it.gap_due = false;
  it.small_parts = false;
  EndGap(node);
  it.low = absl::Microseconds(200);
  it.high = absl::Milliseconds(2);
  Block(node, Side::kAgent, false);
  Block(node, Side::kEntry, false);
}

void Network::BlackHole(int node) {
  for (auto& [id, stream] : streams_) {
    if (stream.node == node && stream.entry_open) stream.dead = true;
  }
}

void Network::EndGap(int node) {
  nodes_[static_cast<size_t>(node)].gap_due = false;
  for (auto& [id, stream] : streams_) {
    if (stream.node == node && stream.has_gap) stream.dead = true;
  }
}

void Network::Reset(int node) {
  for (auto& [id, stream] : streams_) {
    if (stream.node != node || !stream.agent_open || !stream.entry_open) continue;
    for (Channel& channel : stream.channels) channel.packets.clear();
    Packet packet;
    packet.end = true;
    Push(id, stream, Side::kAgent, std::move(packet));
    EndAgent(id, "connection reset by peer", absl::ZeroDuration());
  }
}

void Network::SetDelay(int node, absl::Duration low, absl::Duration high) {
  nodes_[static_cast<size_t>(node)].low = low;
  nodes_[static_cast<size_t>(node)].high = high;
}

void Network::SetReads(int node, bool reads) {
  nodes_[static_cast<size_t>(node)].reads = reads;
  if (reads) KickAll(node);
}

}  // namespace appsup::simulation
