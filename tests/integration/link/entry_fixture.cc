#include "tests/integration/link/entry_fixture.h"

#include <catch2/catch.hpp>

#include "common/file.h"
#include "common/rpc/grpc_status.h"
#include "tests/support/wait.h"

namespace appsup::testing {

namespace v1 = ::appsupervisor::v1;

EntryFixture::EntryFixture(const std::function<void(entry::EntryConfig&)>& change) {
  auto config = entry::ReadEntryConfig("", dir_.File("root"), false);
  REQUIRE(config.ok());
  config_ = *config;
  config_.api_listen = "127.0.0.1:0";
  config_.link_listen = "127.0.0.1:0";
  config_.http_listen = "";
  if (change) change(config_);
  Start();
}

EntryFixture::~EntryFixture() { Stop(); }

void EntryFixture::Start() {
  auto started = entry::Entry::Start(
      config_, [](const absl::Status& status) { FAIL("fatal: " << status.ToString()); });
  INFO(started.status().ToString());
  REQUIRE(started.ok());
  entry_ = std::move(*started);
  link_port_ = entry_->link_port();
  config_.link_listen = link_address();
  // Ready once the core answers.
  const std::shared_ptr<grpc::Channel> channel = Local();
  REQUIRE(WaitFor([&] {
    grpc::ClientContext context;
    v1::ListEnvironmentsResponse response;
    return v1::EnvironmentService::NewStub(channel)->ListEnvironments(&context, {}, &response).ok();
  }));
}

void EntryFixture::Stop() {
  if (entry_ != nullptr) entry_->Shutdown(absl::Milliseconds(500));
  entry_.reset();
}

std::shared_ptr<grpc::Channel> EntryFixture::Local() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + config_.api_socket, grpc::InsecureChannelCredentials(),
                                   arguments);
}

std::shared_ptr<grpc::Channel> EntryFixture::Tcp() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(entry_->api_port()),
                                   grpc::InsecureChannelCredentials(), arguments);
}

std::string EntryFixture::AdminToken() const {
  std::string token = *ReadFile(config_.state_dir + "/admin.token");
  token.pop_back();
  return token;
}

std::string EntryFixture::JoinToken() {
  const std::shared_ptr<grpc::Channel> channel = Local();
  {
    grpc::ClientContext context;
    v1::CreateEnvironmentRequest request;
    request.set_environment_id("eu");
    v1::Environment environment;
    const grpc::Status status = v1::EnvironmentService::NewStub(channel)->CreateEnvironment(
        &context, request, &environment);
    REQUIRE((status.ok() || status.error_code() == grpc::StatusCode::ALREADY_EXISTS));
  }
  grpc::ClientContext context;
  v1::CreateEnrollmentTokenRequest request;
  request.set_environment("eu");
  v1::EnrollmentToken token;
  const grpc::Status status =
      v1::NodeService::NewStub(channel)->CreateEnrollmentToken(&context, request, &token);
  INFO(status.error_message());
  REQUIRE(status.ok());
  CHECK(token.command() ==
        "appsup-agent enroll --entry " + link_address() + " --token " + token.token());
  return token.token();
}

std::string EntryFixture::EnrollNode(const std::string& node_id, const std::string& machine_id) {
  agent::EnrollOptions options;
  options.token = JoinToken();
  options.node_id = node_id;
  options.machine_id = machine_id;
  const auto enrolled = agent::Enroll(options);
  INFO(enrolled.status().ToString());
  REQUIRE(enrolled.ok());
  CHECK(enrolled->node == "nodes/" + node_id);
  CHECK(enrolled->environment == "eu");
  const std::string folder = dir_.File("identity-" + node_id);
  REQUIRE(agent::WriteIdentity(folder, enrolled->identity).ok());
  return folder;
}

v1::Node EntryFixture::GetNode(const std::string& id) {
  grpc::ClientContext context;
  v1::GetNodeRequest request;
  request.set_name("nodes/" + id);
  v1::Node node;
  REQUIRE(v1::NodeService::NewStub(Local())->GetNode(&context, request, &node).ok());
  return node;
}

LinkProbe::LinkProbe(const std::string& entry, const std::string& identity_dir,
                     const std::string& machine_id)
    : machine_id_(machine_id) {
  agent::LinkOptions options;
  options.entry = entry;
  options.identity_dir = identity_dir;
  options.backoff.max = absl::Milliseconds(500);
  options.identity_check_period = absl::Milliseconds(100);
  client_ = std::make_unique<agent::LinkClient>(options, clock_, random_,
                                                [this](agent::LinkEvent event) { OnEvent(event); });
  client_->Start();
}

LinkProbe::~LinkProbe() { client_->Stop(); }

void LinkProbe::OnEvent(const agent::LinkEvent& event) {
  MutexLock lock(&mutex_);
  if (const auto* up = std::get_if<agent::LinkUp>(&event)) {
    ++ups_;
    connection_ = up->connection;
    writable_ = true;
    auto hello = std::make_shared<v1::ConnectRequest>();
    hello->mutable_hello()->set_machine_id(machine_id_);
    hello->mutable_hello()->set_boot_id("boot");
    hello->mutable_hello()->set_last_session_secret(welcome_.session_secret());
    hello->mutable_hello()->set_address("127.0.0.1");
    waiting_.insert(waiting_.begin(), std::move(hello));
    return SendNext();
  }
  if (const auto* down = std::get_if<agent::LinkDown>(&event)) {
    ++downs_;
    writable_ = false;
    last_down_ = down->status.ToString();
  } else if (std::holds_alternative<agent::LinkWritable>(event)) {
    writable_ = true;
    SendNext();
  } else if (const auto* received = std::get_if<agent::LinkMessage>(&event)) {
    const v1::ConnectResponse& message = *received->message;
    if (message.has_welcome()) welcome_ = message.welcome();
    if (message.has_goodbye()) goodbye_ = message.goodbye();
    if (message.has_lease_granted()) granted_ = message.lease_granted().number();
  }
}

void LinkProbe::SendNext() {
  if (!writable_ || waiting_.empty()) return;
  writable_ = false;
  const auto message = waiting_.front();
  waiting_.erase(waiting_.begin());
  client_->Send(connection_, message);
}

void LinkProbe::Send(v1::ConnectRequest message) {
  MutexLock lock(&mutex_);
  waiting_.push_back(std::make_shared<v1::ConnectRequest>(std::move(message)));
  SendNext();
}

int LinkProbe::ups() {
  MutexLock lock(&mutex_);
  return ups_;
}
int LinkProbe::downs() {
  MutexLock lock(&mutex_);
  return downs_;
}
std::string LinkProbe::last_down() {
  MutexLock lock(&mutex_);
  return last_down_;
}
bool LinkProbe::HasWelcome() {
  MutexLock lock(&mutex_);
  return !welcome_.session().empty();
}
v1::Welcome LinkProbe::welcome() {
  MutexLock lock(&mutex_);
  return welcome_;
}
v1::Goodbye LinkProbe::goodbye() {
  MutexLock lock(&mutex_);
  return goodbye_;
}
bool LinkProbe::Granted(int64_t number) {
  MutexLock lock(&mutex_);
  return granted_ >= number;
}

}  // namespace appsup::testing
