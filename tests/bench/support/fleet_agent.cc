#include "tests/bench/support/fleet_agent.h"

#include <utility>
#include <variant>

#include "tests/bench/support/report.h"

namespace appsup::bench {

FleetAgent::FleetAgent(EventLoop& loop, Clock& clock, Random& random, Setup setup,
                       OnApplied on_applied)
    : loop_(loop),
      clock_(clock),
      random_(random),
      setup_(std::move(setup)),
      on_applied_(std::move(on_applied)) {
  world_.writable = false;
  world_.acks = false;
  world_.grants = false;
  world_.now = clock_.Now();
  world_.options.machine_id = "machine-" + setup_.id;
  world_.options.address = "127.0.0.1";
  world_.options.seed = setup_.seed;
  world_.options.capacity.set_memory_bytes(int64_t{64} << 30);
  world_.options.capacity.set_cpu_millis(64'000);
  world_.options.capacity.set_pids(100'000);
  world_.Boot();
  world_.ConnectDriver();
  Perform();
}

FleetAgent::~FleetAgent() = default;

void FleetAgent::Join() {
  agent::LinkOptions options;
  options.entry = setup_.entry;
  options.identity_dir = setup_.identity_dir;
  client_ =
      std::make_unique<agent::LinkClient>(options, clock_, random_, [this](agent::LinkEvent event) {
        loop_.Post([this, event = std::move(event)]() mutable { OnLink(std::move(event)); });
      });
  client_->Start();
}

void FleetAgent::Leave() { client_.reset(); }

void FleetAgent::Mark() {
  marked_.clear();
  for (const auto& [id, process] : world_.processes) marked_[id] = process.pid;
  new_stream_ = false;
  back_ = false;
}

FleetAgent::Figures FleetAgent::figures() const {
  Figures figures{world_.core->figures().connected,
                  back_,
                  back_at_,
                  world_.processes.size(),
                  0,
                  bytes_to_,
                  bytes_from_};
  for (const auto& [id, process] : world_.processes) {
    const auto before = marked_.find(id);
    if (before == marked_.end() || before->second != process.pid) ++figures.changed;
  }
  for (const auto& [id, pid] : marked_) {
    if (!world_.processes.contains(id)) ++figures.changed;
  }
  return figures;
}

void FleetAgent::OnLink(agent::LinkEvent event) {
  Advance();
  if (const auto* up = std::get_if<agent::LinkUp>(&event)) {
    world_.connection = up->connection;
    new_stream_ = true;
    if (!back_) bytes_to_ = bytes_from_ = 0;
  } else if (std::holds_alternative<agent::LinkDown>(event)) {
    new_stream_ = false;
  } else if (const auto* message = std::get_if<agent::LinkMessage>(&event)) {
    Catch(*message);
  }
  std::visit([this](auto& it) { world_.Handle(std::move(it)); }, event);
  Perform();
}

void FleetAgent::Catch(const agent::LinkMessage& message) {
  if (!back_) bytes_to_ += static_cast<int64_t>(message.message->ByteSizeLong());
  if (!on_applied_) return;
  for (const auto& assignment : message.message->assignments().assignments()) {
    unapplied_.push_back(assignment.name());
  }
}

void FleetAgent::Advance() { world_.Advance(clock_.Now().boot - world_.now.boot); }

void FleetAgent::Perform() {
  for (const agent::Effect& effect : world_.effects) {
    if (const auto* send = std::get_if<agent::SendMessage>(&effect)) {
      Perform(*send);
    } else if (const auto* close = std::get_if<agent::CloseLink>(&effect)) {
      if (client_ != nullptr) client_->Close(close->connection, close->reason);
    } else if (const auto* set = std::get_if<agent::SetTimer>(&effect)) {
      if (timer_ != 0) loop_.CancelTimer(timer_);
      timer_ = loop_.AddTimer(set->boot_deadline, [this] {
        timer_ = 0;
        Advance();
        Perform();
      });
    }
  }
  world_.effects.clear();
  world_.received.clear();
  world_.statuses.clear();
}

void FleetAgent::Perform(const agent::SendMessage& send) {
  if (client_ != nullptr) client_->Send(send.connection, send.message);
  if (!back_) bytes_from_ += static_cast<int64_t>(send.message->ByteSizeLong());
  if (send.message->has_assignments_applied()) Applied();
}

void FleetAgent::Applied() {
  if (new_stream_ && !back_) {
    back_ = true;
    back_at_ = Now();
  }
  if (on_applied_) on_applied_(std::exchange(unapplied_, {}));
}

}  // namespace appsup::bench
