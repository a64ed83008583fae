#include "entry/api/ask_core.h"

#include <utility>

namespace appsup::entry {
namespace {

class Question : public PendingCall {
 public:
  explicit Question(absl::AnyInvocable<void(const absl::StatusOr<MessagePtr>&)> answer)
      : answer_(std::move(answer)) {}
  void OnReply(const absl::StatusOr<MessagePtr>& response) override { answer_(response); }

 private:
  absl::AnyInvocable<void(const absl::StatusOr<MessagePtr>&)> answer_;
};

}  // namespace

void AskCore(const CoreDoor& door, const std::string& method,
             std::shared_ptr<const google::protobuf::Message> request, const Principal& principal,
             absl::AnyInvocable<void(const absl::StatusOr<MessagePtr>&)> answer) {
  PostToCore(door, method, std::move(request), principal,
             std::make_shared<Question>(std::move(answer)));
}

}  // namespace appsup::entry
