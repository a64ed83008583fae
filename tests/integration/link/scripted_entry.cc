#include "tests/integration/link/scripted_entry.h"

#include <catch2/catch.hpp>
#include <utility>

#include "agent/link/identity.h"
#include "common/rpc/credentials.h"

namespace appsup::testing {

namespace v1 = ::appsupervisor::v1;

ScriptedNode::ScriptedNode() : ca_(*entry::Ca::OpenOrCreate(dir_.File("ca"), absl::Now())) {
  const auto key = CreateKeyAndCsr("n1");
  agent::Identity identity;
  identity.key_pem = key->key_pem;
  identity.certificate_pem = *ca_.SignNode(key->csr_pem, "n1", "u1", absl::Now());
  identity.ca_pem = ca_.certificate_pem();
  REQUIRE(agent::WriteIdentity(identity_dir(), identity).ok());
}

// One stream. What an older one still tells changes nothing of the newest.
struct ScriptedEntry::Sink : rpc::CallSink {
  Sink(ScriptedEntry& owner, std::shared_ptr<rpc::ServerCall> call)
      : owner(owner), call(std::move(call)) {}
  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    MutexLock lock(&owner.mutex_);
    if (owner.call_ != call) return;
    ++owner.received_;
    owner.heard_.push_back(static_cast<const v1::ConnectRequest&>(*message));
    call->Read();
  }
  void OnReadsDone() override {}
  void OnWritten() override {
    MutexLock lock(&owner.mutex_);
    if (owner.call_ != call) return;
    ++owner.written_;
    owner.writing_ = false;
    if (!owner.flooding_) owner.unsaid_.pop_front();
    owner.WriteNext();
  }
  void OnDone() override {
    MutexLock lock(&owner.mutex_);
    if (owner.call_ == call) owner.call_.reset();
    call.reset();
  }
  ScriptedEntry& owner;
  std::shared_ptr<rpc::ServerCall> call;
};

ScriptedEntry::ScriptedEntry(const ScriptedNode& node, const std::string& address) {
  REQUIRE(node.ca().EnsureServerCertificate(node.ca_dir(), {}, absl::Now()).ok());
  const entry::ServerTlsPaths tls = entry::ServerTlsFiles(node.ca_dir());
  rpc::ServerOptions options;
  options.listeners = {
      {address, rpc::FileServerCredentials(tls.key, tls.certificate, tls.ca, true)}};
  auto accept = [this](const std::shared_ptr<rpc::ServerCall>& call) {
    MutexLock lock(&mutex_);
    call_ = call;
    ++streams_;
    unsaid_.clear();
    heard_.clear();
    writing_ = false;
    call->Read();
    return std::make_shared<Sink>(*this, call);
  };
  auto started =
      rpc::Server::Start(options, {{v1::ConnectRequest::descriptor()->file()->service(0), accept}});
  REQUIRE(started.ok());
  server_ = std::move(*started);
}

int ScriptedEntry::streams() {
  MutexLock lock(&mutex_);
  return streams_;
}
int ScriptedEntry::written() {
  MutexLock lock(&mutex_);
  return written_;
}
int ScriptedEntry::received() {
  MutexLock lock(&mutex_);
  return received_;
}
std::vector<v1::ConnectRequest> ScriptedEntry::heard() {
  MutexLock lock(&mutex_);
  return heard_;
}

void ScriptedEntry::WriteNext() {
  if (call_ == nullptr || writing_ || unsaid_.empty()) return;
  writing_ = true;
  call_->Write(unsaid_.front());
}

void ScriptedEntry::Say(const v1::ConnectResponse& message) {
  MutexLock lock(&mutex_);
  if (call_ == nullptr) return;
  unsaid_.push_back(message);
  WriteNext();
}

void ScriptedEntry::SayGoodbye(const v1::Goodbye& goodbye) {
  v1::ConnectResponse message;
  *message.mutable_goodbye() = goodbye;
  MutexLock lock(&mutex_);
  unsaid_.push_back(std::move(message));
  WriteNext();
  call_->Finish(absl::UnavailableError("goodbye"));
}

void ScriptedEntry::Break() {
  MutexLock lock(&mutex_);
  if (call_ != nullptr) call_->Finish(absl::UnavailableError("cut"));
}

void ScriptedEntry::Flood(const v1::ConnectResponse& message) {
  MutexLock lock(&mutex_);
  unsaid_.push_back(message);
  flooding_ = true;
  WriteNext();
}

}  // namespace appsup::testing
