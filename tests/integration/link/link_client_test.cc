// The agent's end of the link against an entry that does what the test says.
#include "agent/link/link_client.h"

#include <atomic>
#include <catch2/catch.hpp>

#include "agent/link/identity.h"
#include "common/rpc/credentials.h"
#include "common/rpc/server.h"
#include "entry/security/ca.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace appsup::testing {
namespace {

namespace v1 = ::appsupervisor::v1;

// The other side: takes every stream and lets the test write to the newest.
class ScriptedEntry {
 public:
  ScriptedEntry(const entry::Ca& ca, const std::string& state_dir, const std::string& address) {
    REQUIRE(ca.EnsureServerCertificate(state_dir, {}, absl::Now()).ok());
    const entry::ServerTlsPaths tls = entry::ServerTlsFiles(state_dir);
    rpc::ServerOptions options;
    options.listeners = {
        {address, rpc::FileServerCredentials(tls.key, tls.certificate, tls.ca, true)}};
    auto accept = [this](const std::shared_ptr<rpc::ServerCall>& call) {
      MutexLock lock(&mutex_);
      call_ = call;
      ++streams_;
      call->Read();
      return std::make_shared<Sink>(*this);
    };
    auto started = rpc::Server::Start(
        options, {{v1::ConnectRequest::descriptor()->file()->service(0), accept}});
    REQUIRE(started.ok());
    server_ = std::move(*started);
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port(0)); }

  int streams() {
    MutexLock lock(&mutex_);
    return streams_;
  }
  int written() {
    MutexLock lock(&mutex_);
    return written_;
  }
  int received() {
    MutexLock lock(&mutex_);
    return received_;
  }

  void Say(const v1::ConnectResponse& message) {
    MutexLock lock(&mutex_);
    if (call_ != nullptr) call_->Write(message);
  }
  void SayGoodbye(const v1::Goodbye& goodbye) {
    v1::ConnectResponse message;
    *message.mutable_goodbye() = goodbye;
    MutexLock lock(&mutex_);
    call_->Write(message);
    call_->Finish(absl::UnavailableError("goodbye"));
  }
  // From now on writes again whenever the transport took a message.
  void Flood(const v1::ConnectResponse& message) {
    MutexLock lock(&mutex_);
    flood_ = message;
    flooding_ = true;
    call_->Write(message);
  }

 private:
  struct Sink : rpc::CallSink {
    explicit Sink(ScriptedEntry& owner) : owner(owner) {}
    void OnMessage(std::unique_ptr<google::protobuf::Message>) override {
      MutexLock lock(&owner.mutex_);
      ++owner.received_;
      if (owner.call_ != nullptr) owner.call_->Read();
    }
    void OnReadsDone() override {}
    void OnWritten() override {
      MutexLock lock(&owner.mutex_);
      ++owner.written_;
      if (owner.flooding_ && owner.call_ != nullptr) owner.call_->Write(owner.flood_);
    }
    void OnDone() override {
      MutexLock lock(&owner.mutex_);
      owner.call_.reset();
    }
    ScriptedEntry& owner;
  };

  Mutex mutex_;
  std::shared_ptr<rpc::ServerCall> call_ ABSL_GUARDED_BY(mutex_);
  v1::ConnectResponse flood_ ABSL_GUARDED_BY(mutex_);
  bool flooding_ ABSL_GUARDED_BY(mutex_) = false;
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
  int written_ ABSL_GUARDED_BY(mutex_) = 0;
  int received_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<rpc::Server> server_;
};

// A CA, a node's identity, and a link client whose events are kept.
class Stage {
 public:
  Stage() : ca_(*entry::Ca::OpenOrCreate(dir_.File("ca"), absl::Now())) {
    const auto key = CreateKeyAndCsr("n1");
    agent::Identity identity;
    identity.key_pem = key->key_pem;
    identity.certificate_pem = *ca_.SignNode(key->csr_pem, "n1", "u1", absl::Now());
    identity.ca_pem = ca_.certificate_pem();
    REQUIRE(agent::WriteIdentity(dir_.File("identity"), identity).ok());
  }
  ~Stage() {
    if (client != nullptr) client->Stop();
  }

  std::unique_ptr<ScriptedEntry> NewEntry(const std::string& address = "127.0.0.1:0") {
    return std::make_unique<ScriptedEntry>(ca_, dir_.File("ca"), address);
  }

  void StartClient(const std::string& entry) {
    agent::LinkOptions options;
    options.entry = entry;
    options.identity_dir = dir_.File("identity");
    client = std::make_unique<agent::LinkClient>(options, clock_, random_,
                                                 [this](agent::LinkEvent event) {
                                                   MutexLock lock(&mutex_);
                                                   events_.push_back(std::move(event));
                                                 });
    client->Start();
  }

  template <class Kind>
  int Count() {
    MutexLock lock(&mutex_);
    int count = 0;
    for (const agent::LinkEvent& event : events_) count += std::holds_alternative<Kind>(event);
    return count;
  }
  uint64_t LastConnection() {
    MutexLock lock(&mutex_);
    uint64_t connection = 0;
    for (const agent::LinkEvent& event : events_) {
      if (const auto* up = std::get_if<agent::LinkUp>(&event)) connection = up->connection;
    }
    return connection;
  }
  void ForgetEvents() {
    std::vector<agent::LinkEvent> events;
    MutexLock lock(&mutex_);
    events.swap(events_);
  }

  std::unique_ptr<agent::LinkClient> client;

 private:
  TempDir dir_;
  entry::Ca ca_;
  SystemClock clock_;
  SystemRandom random_;
  Mutex mutex_;
  std::vector<agent::LinkEvent> events_ ABSL_GUARDED_BY(mutex_);
};

std::shared_ptr<const v1::ConnectRequest> Heartbeat(int64_t number) {
  auto message = std::make_shared<v1::ConnectRequest>();
  message->mutable_heartbeat()->set_number(number);
  return message;
}

TEST_CASE("link client: goes where a goodbye sends it, and home after that") {
  Stage stage;
  auto home = stage.NewEntry();
  auto other = stage.NewEntry();
  stage.StartClient(home->address());
  REQUIRE(WaitFor([&] { return home->streams() == 1; }));
  v1::Goodbye goodbye;
  goodbye.set_go_to(other->address());
  home->SayGoodbye(goodbye);
  REQUIRE(WaitFor([&] { return other->streams() == 1; }));
  CHECK(home->streams() == 1);
  other->SayGoodbye({});
  CHECK(WaitFor([&] { return home->streams() == 2; }));
  CHECK(other->streams() == 1);
}

TEST_CASE("link client: does not come back earlier than a goodbye allows") {
  Stage stage;
  auto entry = stage.NewEntry();
  stage.StartClient(entry->address());
  REQUIRE(WaitFor([&] { return entry->streams() == 1; }));
  v1::Goodbye goodbye;
  goodbye.mutable_retry_after()->set_nanos(900'000'000);
  const absl::Time start = absl::Now();
  entry->SayGoodbye(goodbye);
  REQUIRE(WaitFor([&] { return entry->streams() == 2; }));
  CHECK(absl::Now() - start >= absl::Milliseconds(890));
}

TEST_CASE("link client: connects as soon as there is an entry") {
  Stage stage;
  auto first = stage.NewEntry();
  const std::string address = first->address();
  first.reset();
  stage.StartClient(address);
  auto second = stage.NewEntry(address);
  CHECK(WaitFor([&] { return stage.Count<agent::LinkUp>() == 1; }));
  CHECK(stage.Count<agent::LinkDown>() == 0);
}

TEST_CASE("link client: a closed connection is told and replaced, its number never comes back") {
  Stage stage;
  auto entry = stage.NewEntry();
  stage.StartClient(entry->address());
  REQUIRE(WaitFor([&] { return stage.Count<agent::LinkUp>() == 1; }));
  const uint64_t first = stage.LastConnection();
  stage.client->Close(first + 7, "not this one");
  stage.client->Close(first, "a test");
  REQUIRE(WaitFor([&] { return stage.Count<agent::LinkUp>() == 2; }));
  CHECK(stage.Count<agent::LinkDown>() == 1);
  CHECK(stage.LastConnection() > first);
  stage.client->Send(first, Heartbeat(1));  // Dropped: that connection is over.
  stage.client->Send(stage.LastConnection(), Heartbeat(2));
  REQUIRE(WaitFor([&] { return stage.Count<agent::LinkWritable>() == 1; }));
  CHECK(WaitFor([&] { return entry->received() == 1; }));
}

TEST_CASE("link client: what the agent has not handled yet is bounded, and nothing is lost") {
  Stage stage;
  auto entry = stage.NewEntry();
  stage.StartClient(entry->address());
  REQUIRE(WaitFor([&] { return entry->streams() == 1; }));
  v1::ConnectResponse large;
  large.set_timeline(std::string(256 << 10, 'x'));
  entry->Flood(large);
  int before = -1;
  int still = 0;
  REQUIRE(WaitFor([&] {
    const int now = entry->written();
    still = now == before ? still + 1 : 0;
    before = now;
    return now > 0 && still > 50;
  }));
  CHECK(stage.Count<agent::LinkMessage>() == 16);
  stage.ForgetEvents();
  CHECK(WaitFor([&] { return stage.Count<agent::LinkMessage>() == 16; }));
  // The end is found although no message is let go of.
  stage.client->Close(1, "a test");
  CHECK(WaitFor([&] { return stage.Count<agent::LinkDown>() == 1; }));
}

}  // namespace
}  // namespace appsup::testing
