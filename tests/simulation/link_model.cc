#include "tests/simulation/link_model.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace appsup::simulation {
namespace {

constexpr BackoffOptions kBackoff{absl::Milliseconds(100), absl::Seconds(8), 2, 0};

}  // namespace

LinkModel::LinkModel(World& world, Network& network, int node, Tell tell)
    : world_(world),
      network_(network),
      node_(node),
      tell_(std::move(tell)),
      random_(
          world.Stream(absl::StrCat("link", node, "/", absl::ToInt64Nanoseconds(world.now())))) {
  network_.SetAgent(node_, this);
  Connect();
}

LinkModel::~LinkModel() {
  *alive_ = false;
  network_.SetAgent(node_, nullptr);
  if (stream_ != 0) network_.Abort(stream_, Side::kAgent);
}

void LinkModel::Connect() {
  if (stream_ != 0 || final_) return;
  ++connection_;
  stream_identity_ = identity_;
  stream_ = network_.Open(node_);
}

void LinkModel::Send(uint64_t connection,
                     std::shared_ptr<const appsupervisor::v1::ConnectRequest> message) {
  if (connection == connection_ && up_) network_.Send(stream_, std::move(message));
}

void LinkModel::Close(uint64_t connection, const std::string& reason) {
  if (connection != connection_ || stream_ == 0) return;
  network_.Close(stream_, Side::kAgent);
  const StreamId closed = stream_;
  world_.After(absl::Microseconds(50), [this, alive = alive_, closed, reason] {
    if (*alive) OnEnded(closed, reason);
  });
}

void LinkModel::Enrolled() {
  ++identity_;
  if (!std::exchange(final_, false)) return;
  Connect();
}

void LinkModel::OnOpened(StreamId stream) {
  if (stream != stream_) return;
  up_ = true;
  tell_(agent::LinkUp{connection_});
}

void LinkModel::OnReceived(StreamId stream,
                           std::shared_ptr<const appsupervisor::v1::ConnectResponse> message) {
  if (stream != stream_) return;
  attempt_ = 0;
  if (message->has_goodbye()) {
    const auto& after = message->goodbye().retry_after();
    goodbye_delay_ = absl::Seconds(after.seconds()) + absl::Nanoseconds(after.nanos());
    // What is said to an identity that was replaced meanwhile ends nothing.
    final_ = message->goodbye().final() && stream_identity_ == identity_;
  }
  tell_(agent::LinkMessage{connection_, std::move(message)});
}

void LinkModel::OnWritten(StreamId stream) {
  if (stream == stream_ && up_) tell_(agent::LinkWritable{connection_});
}

void LinkModel::OnEnded(StreamId stream, const std::string& why) {
  if (stream != stream_) return;
  stream_ = 0;
  if (std::exchange(up_, false)) tell_(agent::LinkDown{connection_, absl::UnavailableError(why)});
  RetryLater();
}

void LinkModel::RetryLater() {
  const absl::Duration delay =
      std::max(Backoff(kBackoff).NextFullJitter(attempt_++, random_.Next()),
               std::exchange(goodbye_delay_, absl::ZeroDuration()));
  world_.After(delay, [this, alive = alive_] {
    if (*alive) Connect();
  });
}

}  // namespace appsup::simulation
