#include "entry/cli/event_stream.h"

#include "common/status.h"

namespace appsup::cli {
namespace {

enum class End { kWanted, kBroken };

// Reads one stream to its end; `request` then holds the newest token.
absl::StatusOr<End> FollowOnce(Client& client, v1::WatchEventsRequest* request,
                               const std::function<bool(const v1::Event&)>& on_event,
                               uint32_t* attempt) {
  const auto context = client.NewContext(absl::InfiniteDuration());
  const auto reader = client.stub<EventStub>().WatchEvents(context.get(), *request);
  v1::Event event;
  bool go_on = true;
  while (go_on && reader->Read(&event)) {
    *attempt = 0;
    if (!event.resume_token().empty()) request->set_resume_token(event.resume_token());
    go_on = on_event(event);
  }
  if (!go_on) context->TryCancel();
  const grpc::Status status = reader->Finish();
  if (!go_on) return End::kWanted;
  if (status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE) return End::kBroken;
  return client.StatusOf(status);
}

}  // namespace

Outcome FollowEvents(Session& session, v1::WatchEventsRequest request,
                     const std::function<bool(const v1::Event&)>& on_event) {
  ASSIGN_OR_RETURN(Client * client, session.client());
  // An entry that was never there is told at once; one that went away is waited for.
  bool was_there = false;
  for (uint32_t attempt = 0;; ++attempt) {
    const std::function<bool(const v1::Event&)> noting = [&](const v1::Event& event) {
      was_there = true;
      return on_event(event);
    };
    ASSIGN_OR_RETURN(const End end, FollowOnce(*client, &request, noting, &attempt));
    if (end == End::kWanted) return ExitCode::kOk;
    if (!was_there) {
      return absl::UnavailableError("no answer from " + session.settings.server);
    }
    session.PauseBeforeRetry(attempt);
  }
}

std::unique_ptr<google::protobuf::Message> ResourceOf(const v1::Event& event) {
  const std::string& url = event.resource().type_url();
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      url.substr(url.rfind('/') + 1));
  if (url.empty() || type == nullptr) return nullptr;
  std::unique_ptr<google::protobuf::Message> resource(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!resource->ParseFromString(event.resource().value())) return nullptr;
  return resource;
}

}  // namespace appsup::cli
