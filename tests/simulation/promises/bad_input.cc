// 12: bad input changes nothing, and is answered.
#include "absl/strings/str_cat.h"
#include "appsupervisor/v1/app_service.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "tests/simulation/app_maker.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

bool IsMarked(const api::AppSpec& spec) {
  const auto version = spec.env().find("VERSION");
  return version != spec.env().end() && version->second == kBadMark;
}

class BadInput : public Observer {
 public:
  explicit BadInput(Scene& scene) : scene_(scene) {}

  void OnAppRow(const rec::AppRecord*, const rec::AppRecord* after) override {
    if (after != nullptr && IsMarked(after->app().spec())) {
      scene_.world.Fail(12, after->app().name() + " has a spec that must be refused", "no change");
    }
  }

  void OnInstanceRow(const rec::InstanceRecord*, const rec::InstanceRecord* after) override {
    if (after != nullptr && after->instance().message() == kBadMark) {
      scene_.world.Fail(12, after->instance().name() + " has the status that a stranger sent",
                        "no change");
    }
  }

  void OnReply(const ClientCall& call, const absl::StatusOr<entry::MessagePtr>& reply) override {
    if (!reply.ok()) return CheckAnswer(call, reply.status());
    const auto* accepted = dynamic_cast<const api::AcceptCatalogResponse*>(reply->get());
    if (accepted != nullptr && accepted->nodes().empty()) {
      scene_.world.Fail(12, "a catalog was accepted for no node", "an error");
    }
    if (call.method != "AppService/UpdateApp") return;
    const auto& request = static_cast<const api::UpdateAppRequest&>(*call.request);
    if (IsMarked(request.app().spec())) {
      scene_.world.Fail(12, "a bad update of " + request.app().name() + " was taken", "an error");
    }
  }

 private:
  // Whatever is asked for at the wrong time is answered by what is wrong with it.
  void CheckAnswer(const ClientCall& call, const absl::Status& status) {
    const bool ours = absl::IsInternal(status) || absl::IsUnknown(status);
    if (!ours && !status.message().empty()) return;
    scene_.world.Fail(12, absl::StrCat(call.method, " was answered ", status.ToString()),
                      "what was wrong with the call");
  }

  Scene& scene_;
};

}  // namespace

std::unique_ptr<Observer> MakeBadInput(Scene& scene) { return std::make_unique<BadInput>(scene); }

}  // namespace appsup::simulation
