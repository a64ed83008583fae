#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "appsupervisor/v1/link.pb.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/random.h"

// The agent's end of the link: one mutual TLS connection with one Connect stream, opened again as
// often as it breaks. What the messages mean is the agent core's business.
//
//   waiting ──delay over──▶ connecting ──entry took the stream──▶ LinkUp ──▶ open
//      ▲                        │                                             │
//      └────────────────────────┴──── LinkDown (only after a LinkUp) ◀────────┘
namespace appsup::agent {

// Numbers of connections grow; a later one never carries news of an earlier one.
struct LinkUp {
  uint64_t connection = 0;
};

struct LinkMessage {
  uint64_t connection = 0;
  std::shared_ptr<const appsupervisor::v1::ConnectResponse> message;
};

// The message given to Send was taken over by the transport; the next may be sent.
struct LinkWritable {
  uint64_t connection = 0;
};

struct LinkDown {
  uint64_t connection = 0;
  absl::Status status;  // Why; never OK.
};

using LinkEvent = std::variant<LinkUp, LinkMessage, LinkWritable, LinkDown>;

struct LinkOptions {
  std::string entry;         // "HOST:PORT". A Goodbye with `go_to` names another until LinkDown.
  std::string identity_dir;  // See identity.h. Read anew for each connection.
  // Delays are drawn evenly between 0 and the growing ceiling; a Welcome sets it back.
  BackoffOptions backoff{absl::Milliseconds(100), absl::Seconds(8), 2, 0};
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration keepalive_time = absl::Seconds(20);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // After a final Goodbye: how often to look whether the node was enrolled again.
  absl::Duration identity_check_period = absl::Seconds(5);
};

// Thread-safe. One thread of its own.
class LinkClient {
 public:
  // Called on the client's thread, one at a time: must not block nor call back, so it usually posts
  // to the agent's loop.
  using Sink = std::function<void(LinkEvent)>;

  // `clock` and `random` outlive the client.
  LinkClient(LinkOptions options, Clock& clock, Random& random, Sink sink);
  ~LinkClient();  // Stops.

  // Begins to connect. Once.
  void Start();

  // Writes a message of at most 1 MiB. One at a time: the first after LinkUp, the next after
  // LinkWritable. Dropped without a word if `connection` is not the open one.
  void Send(uint64_t connection,
            std::shared_ptr<const appsupervisor::v1::ConnectRequest> message);

  // Ends this connection if it is the open one; LinkDown follows, then a new connection.
  void Close(uint64_t connection, const std::string& reason);

  // Ends the connection for good and joins the thread. No event comes after it returned.
  void Stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace appsup::agent
