// Filters, order_by, page tokens and resume tokens, as requests bring them to the real core.
#include <memory>
#include <string>

#include "appsupervisor/v1/app_service.pb.h"
#include "appsupervisor/v1/event_service.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "entry/core/filter.h"
#include "entry/core/sealed_token.h"
#include "tests/fuzz/steps.h"
#include "tests/support/core_harness.h"
#include "tests/support/core_requests.h"

namespace appsup::entry {
namespace {

using fuzz::Expect;
using fuzz::Step;
using google::protobuf::Message;

// kFollow: the next page of what was listed last. kResume: the text is sealed as a resume token.
enum Kind : uint8_t {
  kApps,
  kInstances,
  kNodes,
  kOperations,
  kRevisions,
  kWatch,
  kFollow,
  kResume,
  kFilter,
  kTailLogs
};

const Message* TypeOf(uint8_t kind) {
  static const api::ListAppsRequest apps;
  static const api::ListInstancesRequest instances;
  static const api::ListNodesRequest nodes;
  static const api::ListOperationsRequest operations;
  static const api::ListAppRevisionsRequest revisions;
  static const api::WatchEventsRequest watch;
  static const api::TailLogsRequest tail;
  if (kind == kTailLogs) return &tail;
  const Message* const types[] = {&apps, &instances, &nodes, &operations, &revisions, &watch};
  return kind < std::size(types) ? types[kind] : nullptr;
}

const char* MethodOf(uint8_t kind) {
  static constexpr const char* kMethods[] = {
      "AppService/ListApps",         "AppService/ListInstances",
      "NodeService/ListNodes",       "OperationService/ListOperations",
      "AppService/ListAppRevisions", "EventService/WatchEvents"};
  return kMethods[kind];
}

// Inputs only read, so they share one entry.
CoreHarness& Entry() {
  static CoreHarness& entry = *[] {
    auto* made = new CoreHarness;
    made->AddEnvironment("eu");
    made->AddNode("n1", "eu");
    for (const char* id : {"web", "db", "mail"}) {
      api::CreateAppRequest request = NewApp(id);
      (*request.mutable_app()->mutable_labels())["tier"] = id[0] == 'w' ? "gold" : "iron";
      request.mutable_app()->mutable_spec()->mutable_placement()->add_environments("eu");
      Expect(made->Call<api::Operation>("AppService/CreateApp", request).status(),
             "an app is made");
    }
    return made;
  }();
  return entry;
}

// What a caller may cause, and nothing else.
void ExpectCallersFault(const absl::Status& status) {
  Expect(status.ok() || absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
             absl::IsOutOfRange(status) || absl::IsFailedPrecondition(status) ||
             absl::IsUnavailable(status) || absl::IsResourceExhausted(status),
         status.ToString().c_str());
}

class Session {
 public:
  void Do(const Step& step) {
    if (step.kind == kFilter) return Compare(step.body);
    if (step.kind == kFollow) return Follow();
    if (step.kind == kResume) {
      api::WatchEventsRequest request;
      request.set_resume_token(SealToken(Entry().catalog(), "watch", step.body));
      return Watch("EventService/WatchEvents", request);
    }
    const Message* type = TypeOf(step.kind);
    if (type == nullptr) return;
    std::unique_ptr<Message> request(type->New());
    if (!request->ParseFromString(step.body)) return;
    if (step.kind == kWatch) return Watch("EventService/WatchEvents", *request);
    if (step.kind == kTailLogs) return Watch("AppService/TailLogs", *request);
    kind_ = step.kind;
    last_ = std::move(request);
    List();
  }

 private:
  void List() {
    auto reply = Entry().TakeReply(Entry().Send(MethodOf(kind_), *last_));
    Expect(reply.has_value(), "a list is answered at once");
    ExpectCallersFault(reply->status());
    next_ = reply->ok() ? Text(***reply, "next_page_token") : "";
  }

  void Follow() {
    if (last_ == nullptr || next_.empty()) return;
    last_->GetReflection()->SetString(last_.get(), Field(*last_, "page_token"), next_);
    auto reply = Entry().TakeReply(Entry().Send(MethodOf(kind_), *last_));
    Expect(reply.has_value() && reply->ok(), "the next page follows");
    next_ = Text(***reply, "next_page_token");
  }

  static void Watch(const char* method, const Message& request) {
    const CallId call = Entry().Send(method, request);
    if (auto reply = Entry().TakeReply(call)) ExpectCallersFault(reply->status());
    const StreamLog log = std::exchange(Entry().Stream(call), {});
    if (log.end) ExpectCallersFault(*log.end);
    Expect(log.messages.size() < 1000, "what a watcher gets at once is bounded");
    Entry().Cancel(call);
  }

  static void Compare(const std::string& text) {
    const absl::StatusOr<Filter> filter = Filter::Parse(text);
    ExpectCallersFault(filter.status());
    if (!filter.ok()) return;
    static const api::App& app = *new api::App(*GetApp(Entry(), "web"));
    ExpectCallersFault(filter->Check(*app.GetDescriptor()));
    const bool matches = filter->Matches(app);
    const absl::StatusOr<Filter> negated = Filter::Parse("NOT (" + text + ")");
    if (negated.ok() && !filter->empty() && filter->Check(*app.GetDescriptor()).ok()) {
      Expect(negated->Matches(app) != matches, "NOT negates");
    }
  }

  static const google::protobuf::FieldDescriptor* Field(const Message& message, const char* name) {
    return message.GetDescriptor()->FindFieldByName(name);
  }
  static std::string Text(const Message& message, const char* name) {
    return message.GetReflection()->GetString(message, Field(message, name));
  }

  uint8_t kind_ = 0;
  std::unique_ptr<Message> last_;
  std::string next_;
};

}  // namespace
}  // namespace appsup::entry

APPSUP_MUTATE_STEPS(appsup::entry::TypeOf)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  appsup::entry::Session session;
  for (const appsup::fuzz::Step& step : appsup::fuzz::ReadSteps(data, size)) session.Do(step);
  return 0;
}
