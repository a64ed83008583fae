#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "agent/core/effect.h"
#include "agent/core/event.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/random.h"

// The agent's end of the link: one mutual TLS connection with one Connect stream, opened again as
// often as it breaks. What the messages mean is the agent core's business.
//
//   waiting ──delay over──▶ connecting ──the entry took the stream──▶ LinkUp ──▶ open
//      ▲                        │                                                 │
//      └──── it failed ─────────┴────────────── LinkDown ◀────────────────────────┘
//
// LinkDown comes only after a LinkUp. Failed attempts are logged, not told.
namespace appsup::agent {

struct LinkOptions {
  std::string entry;         // "HOST:PORT"; empty: the one in the identity.
  std::string identity_dir;  // See identity.h. Read anew for each connection.
  // Delays are drawn evenly between 0 and the growing ceiling; a stream that brought a message sets
  // it back.
  BackoffOptions backoff{absl::Milliseconds(100), absl::Seconds(8), 2, 0};
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration keepalive_time = absl::Seconds(20);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // After a final CloseLink: how often to look whether the node was enrolled again.
  absl::Duration identity_check_period = absl::Seconds(5);
};

// Thread-safe. One thread of its own.
class LinkClient {
 public:
  // Gets LinkUp, LinkMessage, LinkWritable and LinkDown on the client's thread, one at a time. Must
  // neither block nor call back, so it usually posts to the agent's loop.
  using Sink = std::function<void(Event)>;

  // `clock` and `random` outlive the client.
  LinkClient(LinkOptions options, Clock& clock, Random& random, Sink sink);
  ~LinkClient();  // Stops.

  // Begins to connect. Once.
  void Start();

  // One at a time: the first after LinkUp, the next after LinkWritable. Dropped if the session is
  // not the open one.
  void Send(const SendMessage& send);

  // Ends this session, if it is the open one, after a message under way; LinkDown follows.
  void Close(const CloseLink& close);

  // Ends the session for good and joins the thread. No event comes after it returned.
  void Stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace appsup::agent
