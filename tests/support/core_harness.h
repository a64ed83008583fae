#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "appsupervisor/v1/link.pb.h"
#include "common/clock.h"
#include "entry/core/entry_core.h"
#include "google/protobuf/message.h"

namespace appsup::entry {

// What a streaming call received.
struct StreamLog {
  std::deque<std::shared_ptr<const google::protobuf::Message>> messages;
  std::optional<absl::Status> end;
};

// Drives an EntryCore as its shell does, with a store in memory, a clock that stands still unless
// told, and agents that a test plays itself. Commits are made durable at once unless HoldCommits.
class CoreHarness {
 public:
  explicit CoreHarness(CoreOptions options = {});

  // A new core on what the store holds, as after a restart of the entry. Held commits are lost.
  void Restart();

  // What the store holds, and a restart on what it held.
  struct Backup {
    std::map<std::pair<std::string, std::string>, std::string> rows;
    std::vector<ChangeEntry> log;
    int64_t last_index = 0;
  };
  Backup TakeBackup() const { return {rows_, log_, last_index_}; }
  void Restore(const Backup& backup);

  // Sends a call without waiting for its answer.
  CallId Send(const std::string& method, const google::protobuf::Message& request);
  // The answer, if there is one by now. Takes it.
  std::optional<absl::StatusOr<MessagePtr>> TakeReply(CallId call);
  void Cancel(CallId call);

  // Sends a call and returns its answer: "AppService/CreateApp". INTERNAL if there is none.
  template <class Response>
  absl::StatusOr<Response> Call(const std::string& method,
                                const google::protobuf::Message& request) {
    absl::StatusOr<MessagePtr> reply = CallAny(method, request);
    if (!reply.ok()) return reply.status();
    return static_cast<const Response&>(**reply);
  }

  // A streaming call's messages so far. Each message is acknowledged as it is taken from the core
  // unless HoldStreams.
  StreamLog& Stream(CallId call) { return streams_[call]; }
  void HoldStreams(bool hold) { hold_streams_ = hold; }
  void StreamWritten(CallId call) { Handle(StreamWritable{call}); }

  // An agent connects as this node; says Hello with these fields.
  SessionId Connect(const std::string& node_id, api::Hello hello = {});
  void Disconnect(SessionId session);
  void FromAgent(SessionId session, const api::ConnectRequest& message);
  // Messages to this session since the last call; each is acknowledged.
  std::vector<api::ConnectResponse> ToAgent(SessionId session);
  bool Closed(SessionId session) const { return closed_.contains(session); }

  void Advance(absl::Duration duration);  // Fires the core's timer at each time it is due.
  void HoldCommits(bool hold);            // False: makes all held ones durable, in order.
  void FailCommit();                      // The oldest held one fails.

  void Handle(Event event);
  void Flush();

  // Who makes the next calls.
  Principal principal{.name = "token:admin", .role = Role::kAdmin, .project = ""};
  Moment now{absl::FromUnixSeconds(1'800'000'000), absl::Hours(1)};
  CoreOptions options;

  EntryCore& core() { return *core_; }
  const Catalog& catalog() const { return core_->catalog(); }
  const std::vector<Transaction>& commits() const { return commits_; }
  absl::Duration timer() const { return timer_; }
  // Lines for the log since the last call.
  std::vector<Note> TakeNotes() { return std::exchange(notes_, {}); }

  // Shorthands that fail the test if the call fails.
  void AddEnvironment(const std::string& id);
  // Enrols a node: "n1".
  void AddNode(const std::string& id, const std::string& environment);

 private:
  absl::StatusOr<MessagePtr> CallAny(const std::string& method,
                                     const google::protobuf::Message& request);
  void Perform(std::vector<Effect> effects);
  void MakeDurable(const Transaction& transaction);
  absl::StatusOr<std::vector<ChangeEntry>> ReadLog(int64_t after, int limit) const;

  std::unique_ptr<EntryCore> core_;
  std::map<std::pair<std::string, std::string>, std::string> rows_;
  std::vector<ChangeEntry> log_;
  std::vector<Transaction> commits_;
  std::vector<Note> notes_;
  std::deque<Transaction> held_;
  bool hold_commits_ = false;
  bool hold_streams_ = false;
  int64_t last_index_ = 0;
  int64_t epoch_ = 0;
  absl::Duration timer_ = absl::InfiniteDuration();
  std::map<CallId, absl::StatusOr<MessagePtr>> replies_;
  std::map<CallId, StreamLog> streams_;
  std::map<SessionId, std::vector<api::ConnectResponse>> to_agents_;
  std::map<SessionId, std::string> closed_;
  std::deque<Event> pending_;  // Answers of the shell to effects.
  CallId next_call_ = 1;
  SessionId next_session_ = 1;
};

}  // namespace appsup::entry
