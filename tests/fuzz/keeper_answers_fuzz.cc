// What a keeper says, into the agent's real driver by way of a real socket.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/driver/process_driver.h"
#include "common/packet.h"
#include "common/unique_fd.h"
#include "tests/fuzz/steps.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

using fuzz::Expect;
using fuzz::Step;

// kAnswer: the id becomes that of the oldest request without an answer. kAsIs: it stays. kPacket:
// bytes of a packet. Else: what the agent asks of the driver.
enum Kind : uint8_t { kAnswer, kAsIs, kPacket, kStart, kStop, kRemove, kSample, kFence };

class Listener : public DriverListener {
 public:
  void OnConnected(const DriverDescription&, Inventory) override { ++connected; }
  void OnDisconnected(const absl::Status& reason) override {
    Expect(!reason.ok(), "a lost connection has a reason");
  }
  void OnStarted(const ProcessId& id, absl::StatusOr<Started>) override { ++started[id]; }
  void OnExited(const ProcessId&, const ProcessExit&) override {
    Expect(connected > 0, "what ended is in the inventory first");
  }
  void OnFoldersRemoved(uint64_t token, const absl::Status&) override { ++removed[token]; }
  void OnFencesSet(std::vector<ProcessId> ids) override {
    fenced.insert(fenced.end(), ids.begin(), ids.end());
  }
  void OnLimitsSet(const ProcessId&, const absl::Status&) override {}
  void OnUsage(std::vector<ProcessUsage>) override {}

  int connected = 0;
  std::map<ProcessId, int> started;
  std::map<uint64_t, int> removed;
  std::vector<ProcessId> fenced;
};

// The keeper's end of the socket.
class Keeper {
 public:
  Keeper() : path_(dir_.File("keeper.sock")) {
    listener_ = UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path_.c_str(), path_.size());
    Expect(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
               listen(listener_.get(), 8) == 0,
           "the keeper listens");
  }

  void Begin() {
    asked_.clear();
    connection_.Reset();
    while (Accept()) connection_.Reset();  // Of inputs before.
  }

  // Takes what the driver said. False: there is no connection.
  bool Take() {
    if (!connection_.valid() && !Accept()) return false;
    while (true) {
      auto packet = ReceivePacket(connection_.get());
      if (!packet.ok()) return false;
      if (!packet->has_value()) return true;
      keeper_pb::Request request;
      Expect(request.ParseFromString(**packet) && request.id() != 0, "a request has an id");
      asked_.push_back(request.id());
    }
  }

  void Say(const Step& step) {
    if (step.kind == kPacket) {
      send(connection_.get(), step.body.data(), step.body.size(), MSG_NOSIGNAL);
      return;
    }
    std::string body = step.body;
    keeper_pb::Response response;
    if (step.kind == kAnswer && response.ParseFromString(body) && !asked_.empty()) {
      response.set_id(asked_.front());
      asked_.pop_front();
      body = response.SerializeAsString();
    }
    SendPacket(connection_.get(), body).status().IgnoreError();
  }

  const std::string& path() const { return path_; }

 private:
  bool Accept() {
    connection_ =
        UniqueFd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    return connection_.valid();
  }

  testing::TempDir dir_;
  std::string path_;
  UniqueFd listener_;
  UniqueFd connection_;
  std::deque<uint64_t> asked_;
};

// The core's words come out of messages and configuration.
bool IsUtf8(const std::string& text) {
  keeper_pb::ProcessId written;
  keeper_pb::ProcessId read;
  written.set_instance_uid(text);
  return read.ParseFromString(written.SerializeAsString());
}

void Ask(const Step& step, ProcessDriver& driver, uint64_t number) {
  if (!IsUtf8(step.body)) return;
  const ProcessId id = {"u1", ProcessKind::kMain, static_cast<int64_t>(number)};
  switch (step.kind) {
    case kStart: {
      StartRequest request;
      request.id = id;
      request.command = {step.body};
      return driver.Start(std::move(request));
    }
    case kStop:
      return driver.Stop(id, fuzz::Number(step), absl::Seconds(1));
    case kRemove:
      return driver.RemoveFolders(number, {step.body});
    case kSample:
      return driver.SampleUsage();
    case kFence:
      return driver.SetFences({{id, Fence{absl::Seconds(fuzz::Number(step)), absl::Seconds(1)}}});
    default:
      return;
  }
}

}  // namespace
}  // namespace appsup::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace appsup;
  static auto& keeper = *new agent::Keeper;
  static auto& clock = *new SystemClock;
  static EventLoop& loop = *EventLoop::Create()->release();
  static const bool silent = (fuzz::SilenceLog(), true);
  static_cast<void>(silent);
  const auto run = [](int rounds) {
    for (; rounds > 0; --rounds) {
      loop.Post([] {});
      loop.Stop();
      loop.Run();
    }
  };
  keeper.Begin();
  agent::Listener listener;
  agent::ProcessDriver driver(loop, clock, keeper.path(), "1");
  driver.Open(listener);
  for (int tries = 0; tries < 100 && !keeper.Take(); ++tries) run(1);
  uint64_t number = 0;
  std::set<int64_t> fences;  // Attempts for which one was asked.
  for (const fuzz::Step& step : fuzz::ReadSteps(data, size)) {
    if (!keeper.Take()) break;
    if (step.kind == agent::kFence) fences.insert(static_cast<int64_t>(number) + 1);
    step.kind <= agent::kPacket ? keeper.Say(step) : agent::Ask(step, driver, ++number);
    run(1);
  }
  run(2);
  for (const auto& [id, times] : listener.started) fuzz::Expect(times == 1, "a start ends once");
  for (const auto& [id, times] : listener.removed) fuzz::Expect(times == 1, "a removal ends once");
  for (const agent::ProcessId& id : listener.fenced) {
    fuzz::Expect(fences.contains(id.attempt), "a fence that holds was asked for");
  }
  return 0;
}
