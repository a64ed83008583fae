#include "entry/app_lookup.h"

#include <memory>
#include <utility>

#include "appsupervisor/v1/app_service.pb.h"

namespace appsup::entry {
namespace {

constexpr char kGetApp[] = "appsupervisor.v1.AppService/GetApp";

class Lookup : public PendingCall {
 public:
  explicit Lookup(Gateway::Found found) : found_(std::move(found)) {}

  void OnReply(const absl::StatusOr<MessagePtr>& response) override {
    if (!response.ok()) return found_(response.status());
    found_(static_cast<const appsupervisor::v1::App&>(**response));
  }

 private:
  Gateway::Found found_;
};

}  // namespace

Gateway::FindApp LookUpThroughCore(const CoreDoor& door) {
  return [door](const std::string& name, Gateway::Found found) {
    auto request = std::make_shared<appsupervisor::v1::GetAppRequest>();
    request->set_name(name);
    const Principal gateway{.name = "system:gateway", .role = Role::kViewer, .project = ""};
    PostToCore(door, kGetApp, std::move(request), gateway,
               std::make_shared<Lookup>(std::move(found)));
  };
}

}  // namespace appsup::entry
