#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "agent/core/link_event.h"
#include "appsupervisor/v1/link.pb.h"
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
// LinkDown comes only after a LinkUp. Failed attempts are logged, not told. A Goodbye is given to
// the core as any message, and decides when, where and whether the next connection is made.
namespace appsup::agent {

struct LinkOptions {
  std::string entry;         // "HOST:PORT"; empty: the one in the identity.
  std::string identity_dir;  // See identity.h. Read anew for each connection.
  // Delays are drawn evenly between 0 and the growing ceiling; a stream that brought a message sets
  // it back.
  BackoffOptions backoff{absl::Milliseconds(100), absl::Seconds(8), 2, 0};
  absl::Duration connect_timeout = absl::Seconds(20);  // Until the entry has answered the stream.
  absl::Duration keepalive_time = absl::Seconds(20);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // After a final Goodbye: how often to look whether the node was enrolled again, and how often to
  // try all the same. An entry with the wrong catalog does not know the node either.
  absl::Duration identity_check_period = absl::Seconds(5);
  absl::Duration final_retry_period = absl::Minutes(1);
};

class LinkThread;

// Thread-safe. One thread of its own.
class LinkClient {
 public:
  // Told on the client's thread, one at a time. Must neither block nor call back, so it usually
  // posts to the agent's loop.
  using Sink = std::function<void(LinkEvent)>;

  // `clock` and `random` outlive the client.
  LinkClient(LinkOptions options, Clock& clock, Random& random, Sink sink);
  ~LinkClient();  // Stops.

  // Begins to connect. Once.
  void Start();

  // A message of at most 1 MiB. One at a time: the first after LinkUp, the next after LinkWritable.
  // Dropped if `connection` is not the open one.
  void Send(uint64_t connection, std::shared_ptr<const appsupervisor::v1::ConnectRequest> message);

  // Ends this connection, if it is the open one; LinkDown follows, then the next.
  void Close(uint64_t connection, const std::string& reason);

  // Ends whatever connection there is and makes a new one at once: the certificate is a new one.
  void Reconnect();

  // Ends the connection for good and joins the thread. No event comes after it returned.
  void Stop();

 private:
  std::shared_ptr<LinkThread> impl_;
};

}  // namespace appsup::agent
