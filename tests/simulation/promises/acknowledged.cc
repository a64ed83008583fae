// 1: an acknowledged change is never lost; what was shown is never taken back.
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "appsupervisor/v1/app_service.pb.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

using google::protobuf::Message;

std::string RequestIdOf(const Message& request) {
  const auto* field = request.GetDescriptor()->FindFieldByName("request_id");
  return field == nullptr ? "" : request.GetReflection()->GetString(request, field);
}

class Acknowledged : public Observer {
 public:
  explicit Acknowledged(Scene& scene) : scene_(scene) {}

  void OnStoreReplaced() override {
    shown_.clear();
    answers_.clear();
  }

  void OnAppRow(const rec::AppRecord* before, const rec::AppRecord* after) override {
    if (after == nullptr) {
      shown_.erase(before->app().uid());
      if (!IsDeleted(before->app())) Lost(before->app().name() + " vanished", "a deletion");
      return;
    }
    const auto shown = shown_.find(after->app().uid());
    if (shown != shown_.end() && after->app().generation() < shown->second) {
      Lost(absl::StrCat(after->app().name(), " is at generation ", after->app().generation()),
           absl::StrCat("at least ", shown->second, ", which was shown"));
    }
  }

  void OnOperationRow(const rec::OperationRecord* before,
                      const rec::OperationRecord* after) override {
    if (before == nullptr && after != nullptr) {
      const auto app = Apps().find(after->operation().target());
      if (app != Apps().end()) app_of_[after->operation().name()] = app->second.app().uid();
    }
    if (before == nullptr || after == nullptr || !before->operation().done()) return;
    if (!after->operation().done()) Lost(after->operation().name() + " began again", "done");
  }

  // A new leader has read what is durable.
  void OnLeading(int64_t) override {
    std::map<std::string, int64_t> durable;
    for (const auto& [name, record] : Apps()) {
      durable[record.app().uid()] = record.app().generation();
    }
    for (const auto& [uid, generation] : shown_) {
      if (durable[uid] < generation) {
        Lost(absl::StrCat("app ", uid, " is at generation ", durable[uid]),
             absl::StrCat("at least ", generation, ", which was shown"));
      }
    }
  }

  void OnReply(const ClientCall& call, const absl::StatusOr<entry::MessagePtr>& reply) override {
    CheckRepeat(call, reply);
    if (!reply.ok()) return;
    const std::string id = RequestIdOf(*call.request);
    const std::string key = absl::StrCat("|appsupervisor.v1.", call.method, "|", id);
    if (!id.empty() && !scene_.disk.durable.HasRow("request", key)) {
      Lost(call.method + " was acknowledged", "its request id to be durable before");
    }
    if (const auto* operation = dynamic_cast<const api::Operation*>(reply->get())) {
      CheckOperation(call, *operation);
    } else if (const auto* app = dynamic_cast<const api::App*>(reply->get())) {
      CheckApp(*app);
    } else if (const auto* apps = dynamic_cast<const api::ListAppsResponse*>(reply->get())) {
      for (const api::App& one : apps->apps()) CheckApp(one);
    }
  }

  void OnWatched(const ClientCall&, const api::Event& event) override {
    if (event.log_index() <= scene_.disk.durable.head()) return;
    Lost(absl::StrCat("a watcher was shown index ", event.log_index()),
         absl::StrCat("nothing beyond the durable ", scene_.disk.durable.head()));
  }

 private:
  const std::map<std::string, rec::AppRecord>& Apps() const { return scene_.disk.durable.apps; }

  // With its purge in one transaction, maybe.
  bool IsDeleted(const api::App& before) const {
    if (before.has_delete_time()) return true;
    for (const auto& [name, record] : scene_.disk.durable.operations) {
      const api::Operation& operation = record.operation();
      if (operation.target() == before.name() && operation.kind() == "DELETE") return true;
    }
    return false;
  }

  void Lost(const std::string& seen, const std::string& expected) {
    scene_.world.Fail(1, seen, expected);
  }

  // The same request_id twice: the same answer twice.
  void CheckRepeat(const ClientCall& call, const absl::StatusOr<entry::MessagePtr>& reply) {
    const std::string id = RequestIdOf(*call.request);
    if (id.empty()) return;
    const auto known = answers_.find(id);
    if (!reply.ok()) {
      if (known != answers_.end() && !absl::IsUnavailable(reply.status())) {
        Lost(absl::StrCat(call.method, " with the same request_id was answered ",
                          reply.status().ToString()),
             absl::StrCat("the first answer, ", known->second));
      }
      return;
    }
    const auto* operation = dynamic_cast<const api::Operation*>(reply->get());
    const std::string name = operation == nullptr ? "" : operation->name();
    if (known != answers_.end() && known->second != name) {
      Lost(absl::StrCat(call.method, " made ", name), absl::StrCat("only ", known->second));
    }
    answers_.emplace(id, name);
  }

  void CheckOperation(const ClientCall& call, const api::Operation& operation) {
    const auto row = scene_.disk.durable.operations.find(operation.name());
    if (row == scene_.disk.durable.operations.end()) {
      return Lost(absl::StrCat(call.method, " was acknowledged by ", operation.name()),
                  "a durable operation");
    }
    if (operation.done() && !row->second.operation().done()) {
      return Lost(operation.name() + " was shown as done", "that it is durably");
    }
    const auto app = Apps().find(operation.target());
    if (app == Apps().end()) return;
    const api::App& is = app->second.app();
    // Another app may have the name by now.
    const auto uid = app_of_.find(operation.name());
    if (uid == app_of_.end() || uid->second != is.uid()) return;
    if (operation.generation() > is.generation()) {
      return Lost(
          absl::StrCat(is.name(), " was acknowledged at generation ", operation.generation()),
          absl::StrCat("at most the durable ", is.generation()));
    }
    int64_t& shown = shown_[is.uid()];
    shown = std::max(shown, operation.generation());
    if (operation.generation() == is.generation()) CheckContent(call, is);
  }

  // It is exactly what was asked for.
  void CheckContent(const ClientCall& call, const api::App& is) {
    bool right = true;
    if (const auto* scale = dynamic_cast<const api::ScaleAppRequest*>(call.request.get())) {
      right = is.spec().replicas() == scale->replicas();
    } else if (call.method == "AppService/StopApp") {
      right = is.spec().run_state() == api::RUN_STATE_STOPPED;
    } else if (call.method == "AppService/StartApp") {
      right = is.spec().run_state() != api::RUN_STATE_STOPPED;
    } else if (const auto* to = dynamic_cast<const api::UpdateAppRequest*>(call.request.get())) {
      api::AppSpec wanted = to->app().spec();
      wanted.set_restart_nonce(is.spec().restart_nonce());
      right = google::protobuf::util::MessageDifferencer::Equals(wanted, is.spec());
    }
    if (!right)
      Lost(absl::StrCat(call.method, " on ", is.name(), " is not there"), "what was asked");
  }

  void CheckApp(const api::App& shown) {
    const auto row = Apps().find(shown.name());
    if (row == Apps().end() || row->second.app().uid() != shown.uid()) return;
    const api::App& is = row->second.app();
    if (shown.generation() > is.generation() ||
        (shown.generation() == is.generation() &&
         !google::protobuf::util::MessageDifferencer::Equals(shown.spec(), is.spec()))) {
      return Lost(absl::StrCat(is.name(), " was shown at generation ", shown.generation()),
                  absl::StrCat("the durable one, ", is.generation()));
    }
    int64_t& seen = shown_[is.uid()];
    seen = std::max(seen, shown.generation());
  }

  Scene& scene_;
  std::map<std::string, int64_t> shown_;        // Generation by uid of the app.
  std::map<std::string, std::string> app_of_;   // Uid of the app by operation.
  std::map<std::string, std::string> answers_;  // Operation by request id.
};

}  // namespace

std::unique_ptr<Observer> MakeAcknowledged(Scene& scene) {
  return std::make_unique<Acknowledged>(scene);
}

}  // namespace appsup::simulation
