#include "tests/integration/link/linked_agent.h"

#include <algorithm>
#include <utility>

#include "tests/support/wait.h"

namespace appsup::testing {

LinkedAgent::LinkedAgent(const std::string& entry, const std::string& identity_dir)
    : last_(clock_.Now().boot) {
  world.writable = false;
  world.acks = false;
  world.grants = false;
  world.options.capacity.set_memory_bytes(int64_t{8} << 30);
  world.Boot();
  world.ConnectDriver();
  agent::LinkOptions options;
  options.entry = entry;
  options.identity_dir = identity_dir;
  options.backoff.max = absl::Milliseconds(500);
  client_ =
      std::make_unique<agent::LinkClient>(options, clock_, random_, [this](agent::LinkEvent event) {
        MutexLock lock(&mutex_);
        events_.push_back(std::move(event));
      });
  client_->Start();
}

LinkedAgent::~LinkedAgent() { client_->Stop(); }

void LinkedAgent::Pump() {
  const absl::Duration now = clock_.Now().boot;
  world.Advance(now - std::exchange(last_, now));
  Forward();
  std::vector<agent::LinkEvent> events;
  {
    MutexLock lock(&mutex_);
    events.swap(events_);
  }
  for (agent::LinkEvent& event : events) {
    Take(std::move(event));
    Forward();
  }
}

void LinkedAgent::Take(agent::LinkEvent event) {
  if (const auto* up = std::get_if<agent::LinkUp>(&event)) {
    world.connection = up->connection;
    ++streams_;
    heard.clear();
  } else if (const auto* received = std::get_if<agent::LinkMessage>(&event)) {
    if (loses && loses(*received->message)) return;
    heard.push_back(*received->message);
  }
  std::visit([this](auto& it) { world.Handle(std::move(it)); }, event);
}

void LinkedAgent::Forward() {
  for (; forwarded_ < world.effects.size(); ++forwarded_) {
    const agent::Effect& effect = world.effects[forwarded_];
    if (const auto* send = std::get_if<agent::SendMessage>(&effect)) {
      client_->Send(send->connection, send->message);
    } else if (const auto* close = std::get_if<agent::CloseLink>(&effect)) {
      client_->Close(close->connection, close->reason);
    }
  }
}

bool LinkedAgent::Until(const std::function<bool()>& condition) {
  return WaitFor([&] {
    Pump();
    return condition();
  });
}

bool LinkedAgent::Reconnect() {
  const int before = streams_;
  client_->Reconnect();
  return Until([&] { return streams_ > before && world.core->figures().connected; });
}

size_t LinkedAgent::unread() {
  MutexLock lock(&mutex_);
  return std::count_if(events_.begin(), events_.end(), [](const agent::LinkEvent& event) {
    return std::holds_alternative<agent::LinkMessage>(event);
  });
}

int64_t LinkedAgent::CountHeard(
    const std::function<bool(const appsupervisor::v1::ConnectResponse&)>& is) const {
  return std::count_if(heard.begin(), heard.end(), is);
}

}  // namespace appsup::testing
