#include "tests/bench/support/link_entry.h"

#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appsupervisor/v1/link.pb.h"
#include "common/check.h"
#include "entry/core/statement.h"
#include "tests/bench/support/must.h"
#include "tests/bench/support/report.h"

namespace appsup::bench {
namespace {

namespace api = ::appsupervisor::v1;
namespace rec = ::appsupervisor::store::v1;

constexpr char kApp[] = "projects/default/apps/bench";
constexpr char kRevision[] = "projects/default/apps/bench/revisions/1";

std::string InstanceOf(const std::string& node) {
  return absl::StrCat(kApp, "/instances/bench-eu-", entry::IdOf(node));
}

rec::RevisionRecord Revision() {
  rec::RevisionRecord record;
  record.mutable_revision()->set_name(kRevision);
  record.mutable_revision()->set_number(1);
  api::AppSpec& spec = *record.mutable_revision()->mutable_spec();
  spec.mutable_runtime()->mutable_process()->add_command("/bin/sleep");
  spec.mutable_runtime()->mutable_process()->add_command("1000");
  return record;
}

}  // namespace

LinkEntry::LinkEntry(std::shared_ptr<grpc::ServerCredentials> credentials, int nodes)
    : thread_(Must(entry::LoopThread::Start())) {
  options_.lease = absl::Hours(1);  // The bench's agents send no heartbeats.
  rec::CatalogRecord meta;
  meta.set_catalog_uid("catalog");
  meta.add_timelines()->set_id("t1");
  catalog_.meta.Insert(entry::Catalog::kMetaKey, meta);
  rec::AppRecord app;
  app.mutable_app()->set_name(kApp);
  catalog_.apps.Insert(kApp, app);
  catalog_.revisions.Insert(kRevision, Revision());
  for (int i = 0; i < nodes; ++i) AddNode(i);
  sessions_ =
      std::make_unique<entry::Sessions>(options_, catalog_, dirty_, random_, 1, "t1", clock_.Now());
  rpc::ServerOptions options;
  options.listeners = {{"127.0.0.1:0", std::move(credentials)}};
  const auto* file = api::ConnectRequest::descriptor()->file();
  server_ = Must(rpc::Server::Start(
      options, {{file->service(0), [this](const std::shared_ptr<rpc::ServerCall>& call) {
                   return streams_.Accept(call);
                 }}}));
}

LinkEntry::~LinkEntry() {
  thread_->Join();
  server_->Shutdown(absl::ZeroDuration());
}

void LinkEntry::AddNode(int number) {
  const std::string id = "n" + std::to_string(number);
  rec::NodeRecord node;
  node.mutable_node()->set_name("nodes/" + id);
  node.mutable_node()->set_uid("uid-" + id);
  node.mutable_node()->set_environment("eu");
  catalog_.nodes.Insert("nodes/" + id, node);
  rec::InstanceRecord record;
  api::Instance& instance = *record.mutable_instance();
  instance.set_name(InstanceOf("nodes/" + id));
  instance.set_uid("uid-of-the-instance-on-" + id);
  instance.set_node(id);
  instance.set_environment("eu");
  instance.set_revision(1);
  instance.set_desired(api::DESIRED_STATE_RUN);
  record.set_app_uid("uid-of-the-app");
  record.set_generation(1);
  catalog_.AddInstance(std::move(record));
}

void LinkEntry::KeepChanging() {
  thread_->loop().Post([this] {
    changing_ = true;
    for (const auto& [session, node] : node_of_session_) Change(node);
    Flush();
  });
}

double LinkEntry::Command(int node) {
  std::promise<void> done;
  const double begin = Now();
  thread_->loop().Post([&] {
    api::Command command;
    command.mutable_read_log()->set_instance_uid("uid-of-the-instance");
    auto sent = sessions_->SendCommand("nodes/n" + std::to_string(node), std::move(command),
                                       [&](const api::LogChunk*, const absl::Status& status) {
                                         APPSUP_CHECK(status.ok(), status.ToString());
                                         done.set_value();
                                       });
    APPSUP_CHECK(sent.ok(), sent.status().ToString());
    Flush();
  });
  done.get_future().wait();
  return Now() - begin;
}

void LinkEntry::Post(entry::Event event, absl::AnyInvocable<void()> handled) {
  MutexLock lock(&mutex_);
  waiting_.emplace_back(std::move(event), std::move(handled));
  if (waiting_.size() == 1) thread_->loop().Post([this] { HandleWaiting(); });
}

void LinkEntry::HandleWaiting() {
  std::vector<Posted> events;
  {
    MutexLock lock(&mutex_);
    events.swap(waiting_);
  }
  for (Posted& posted : events) {
    Handle(posted.first);
    if (posted.second) posted.second();
  }
  Flush();
}

void LinkEntry::Handle(const entry::Event& event) {
  const Moment now = clock_.Now();
  if (const auto* connected = std::get_if<entry::AgentConnected>(&event)) {
    node_of_session_[connected->session] = "nodes/" + connected->node;
    sessions_->Connected(*connected, now);
  } else if (const auto* message = std::get_if<entry::AgentMessage>(&event)) {
    sessions_->Received(*message, now);
    if (changing_ && message->message->has_assignments_applied()) {
      Change(node_of_session_[message->session]);
    }
  } else if (const auto* writable = std::get_if<entry::AgentWritable>(&event)) {
    sessions_->Writable(writable->session, now);
  } else if (const auto* gone = std::get_if<entry::AgentDisconnected>(&event)) {
    sessions_->Disconnected(gone->session, now);
  }
}

// As a restart of the app does.
void LinkEntry::Change(const std::string& node) {
  const std::string name = InstanceOf(node);
  rec::InstanceRecord& record = catalog_.instances.Mutate(name);
  record.set_restart_nonce(record.restart_nonce() + 1);
  entry::Restate(catalog_, dirty_, name);
}

void LinkEntry::Flush() {
  for (const auto& [node, instance] : dirty_.TakeAssignments()) {
    sessions_->AssignmentChanged(node, instance);
  }
  dirty_.TakeNodes();
  dirty_.TakeApps();
  sessions_->TakeNotes();
  const Moment now = clock_.Now();
  if (catalog_.changed()) catalog_.TakeTransaction(now.wall);
  for (const entry::Effect& effect : sessions_->Collect(now)) {
    if (const auto* send = std::get_if<entry::SendToAgent>(&effect)) streams_.Perform(*send);
    if (const auto* close = std::get_if<entry::CloseAgent>(&effect)) streams_.Perform(*close);
  }
}

}  // namespace appsup::bench
