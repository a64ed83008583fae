#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "appsupervisor/v1/app_service.pb.h"
#include "common/clock.h"
#include "entry/core/catalog.h"
#include "entry/core/effect.h"
#include "entry/core/event.h"
#include "entry/core/options.h"
#include "entry/core/sessions.h"

namespace appsup::entry {

// Calls of TailLogs. Each call has a cursor per instance and stream, and reads by short ReadLog
// commands that say where to go on, so that a lost session costs neither a gap nor a repeat. At
// most kMaxOpenReads pieces of one call are asked for or waiting to be sent, so memory is bounded
// whatever the reader and the agents do. Core thread only.
class LogTails {
 public:
  static constexpr int kMaxOpenReads = 32;
  static constexpr int kMaxPiece = 64 << 10;

  LogTails(const CoreOptions& options, const Catalog& catalog)
      : options_(options), catalog_(catalog) {}

  // The target exists.
  absl::Status Open(CallId call, const api::TailLogsRequest& request);
  void Writable(CallId call);
  void Cancelled(CallId call, Sessions& sessions);
  // An instance came, went or changed.
  void InstanceChanged(const std::string& name);

  // What there is to say now. Logs are not part of the catalog: it rests on no index.
  void Collect(Sessions& sessions, const Moment& now, std::vector<Effect>& out);

  absl::Duration next_deadline() const;

 private:
  using CursorKey = std::pair<std::string, api::LogStream>;  // Name of the instance, stream.

  struct Cursor {
    std::string uid;
    std::string node;
    bool from_start = false;  // It came up while the call followed: nothing may be missed.
    bool begun = false;       // `attempt` and `offset` say where to go on.
    int64_t attempt = 0;
    int64_t offset = 0;
    int64_t command = 0;       // Open at the node; 0: none.
    bool piece_waits = false;  // A piece is in `ready`.
    bool busy = false;         // Either of them.
    bool got_piece = false;    // The present command brought one.
    bool at_end = false;
    bool noticed = false;  // The reader knows that the node does not answer.
    bool finished = false;
    absl::Duration retry_at = -absl::InfiniteDuration();
  };

  // A message and the cursor that may read on once it is on its way.
  struct Sent {
    CursorKey cursor;
    std::shared_ptr<api::TailLogsResponse> message;
  };

  struct Tail {
    api::TailLogsRequest request;
    bool in_flight = false;
    bool instances_changed = true;
    bool opened = false;  // The first set of instances is known.
    bool gone = false;    // The target does not exist any more.
    std::map<CursorKey, Cursor> cursors;
    std::deque<Sent> ready;
    std::deque<CursorKey> turn;  // Whose turn it is to read: round-robin. Not those that are busy.
    int open_reads = 0;          // Cursors that are busy.
  };

  std::shared_ptr<const api::TailLogsResponse> TakeReady(Tail& tail);
  void UpdateCursors(Tail& tail, Sessions& sessions);
  void Read(CallId call, Tail& tail, Sessions& sessions, const Moment& now);
  bool Reachable(Tail& tail, const CursorKey& key, Cursor& cursor, const Sessions& sessions);
  void Ask(CallId call, Tail& tail, const CursorKey& key, Cursor& cursor, Sessions& sessions,
           const Moment& now);
  // Gives the cursor its next turn, unless it is still busy.
  void SetIdle(Tail& tail, const CursorKey& key, Cursor& cursor);
  void Answer(CallId call, const CursorKey& key, const api::LogChunk* chunk,
              const absl::Status& status);
  void TakePiece(Tail& tail, const CursorKey& key, Cursor& cursor, const api::LogChunk& chunk);
  void EndOfCommand(Tail& tail, const CursorKey& key, Cursor& cursor, const absl::Status& status);
  void Notice(Tail& tail, const CursorKey& key, const std::string& text);
  bool Done(const Tail& tail) const;

  const CoreOptions& options_;
  const Catalog& catalog_;
  Moment now_;  // Of the last Collect: when answers come in, only a later Collect acts on them.
  std::map<CallId, Tail> tails_;
};

}  // namespace appsup::entry
