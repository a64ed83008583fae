#include "entry/core/entry_core.h"

#include <functional>
#include <utility>

#include "common/digest.h"
#include "common/id.h"
#include "common/status.h"
#include "entry/core/entry_core_state.h"
#include "entry/core/proto_time.h"

namespace appsup::entry {
namespace {

constexpr int kMaxTimelines = 1000;

// Ids of this start must differ from those of every other start, whatever the seed.
uint64_t SeedFor(const CoreOptions& options, const std::string& timeline) {
  return options.seed ^ std::stoull(Sha256Hex(timeline).substr(0, 16), nullptr, 16);
}

// Writes the start of this timeline into the catalog's history.
void BeginTimeline(Catalog& catalog, Random& ids, const std::string& timeline) {
  if (catalog.meta.Find(Catalog::kMetaKey) == nullptr) {
    rec::CatalogRecord record;
    record.set_catalog_uid(NewUuid(ids));
    record.set_seed(Sha256Hex(timeline + NewUuid(ids)));
    catalog.meta.Insert(Catalog::kMetaKey, std::move(record));
  }
  rec::CatalogRecord& record = catalog.meta.Mutate(Catalog::kMetaKey);
  rec::Timeline& entry = *record.add_timelines();
  entry.set_id(timeline);
  entry.set_first_index(catalog.pending_index());
  const int excess = record.timelines_size() - kMaxTimelines;
  if (excess > 0) record.mutable_timelines()->DeleteSubrange(0, excess);
}

void EnsureDefaultProject(Catalog& catalog, Random& ids, const Moment& now) {
  const std::string name = "projects/default";
  if (catalog.projects.Find(name) != nullptr) return;
  rec::ProjectRecord record;
  api::Project& project = *record.mutable_project();
  project.set_name(name);
  project.set_uid(NewUuid(ids));
  project.set_etag("\"" + ShortId(ids, 12) + "\"");
  *project.mutable_create_time() = *project.mutable_update_time() = ToTimestamp(now.wall);
  catalog.projects.Insert(name, std::move(record));
}

MethodTable MakeMethodTable() {
  MethodTable table;
  AddAppMethods(table);
  AddInstanceMethods(table);
  AddEnvironmentMethods(table);
  AddNodeMethods(table);
  AddProjectMethods(table);
  AddOperationMethods(table);
  AddEventMethods(table);
  AddEnrollMethods(table);
  return table;
}

absl::Status Restarting(const absl::Status& cause) {
  return MakeError(absl::StatusCode::kUnavailable, "ENTRY_RESTARTING",
                   "The entry could not make changes durable and starts over; whether this call "
                   "took effect is not known. Repeat it: with the same request_id that is safe.",
                   {{"cause", std::string(cause.message())}});
}

Effect Ending(CallId call, bool streams, absl::Status status) {
  if (streams) return StreamEnd{call, std::move(status)};
  return Reply{call, std::move(status)};
}

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

absl::StatusOr<std::unique_ptr<EntryCore>> EntryCore::Create(const CoreOptions& options,
                                                             const CatalogRows& rows, int64_t epoch,
                                                             const std::string& timeline,
                                                             const Moment& now) {
  auto state = std::make_unique<State>(options, SeedFor(options, timeline));
  State& s = *state;
  RETURN_IF_ERROR(s.catalog.Load(rows));
  s.gate.Release(static_cast<uint64_t>(rows.last_index));
  BeginTimeline(s.catalog, s.ids, timeline);
  EnsureDefaultProject(s.catalog, s.ids, now);
  s.methods = MakeMethodTable();
  s.requests = std::make_unique<RequestLog>(s.options, s.catalog);
  s.housekeeping = std::make_unique<Housekeeping>(s.options, s.catalog, s.dirty, *s.requests, now);
  s.waiters = std::make_unique<Waiters>(s.options, s.catalog);
  s.sessions =
      std::make_unique<Sessions>(s.options, s.catalog, s.dirty, s.ids, epoch, timeline, now);
  for (const auto& [name, record] : s.catalog.nodes.rows()) s.dirty.Node(name);
  for (const auto& [name, record] : s.catalog.apps.rows()) s.dirty.App(name);
  return std::unique_ptr<EntryCore>(new EntryCore(std::move(state)));
}

EntryCore::EntryCore(std::unique_ptr<State> state) : state_(std::move(state)) {}
EntryCore::~EntryCore() = default;

const Catalog& EntryCore::catalog() const { return state_->catalog; }

void EntryCore::Handle(Event event, const Moment& now) {
  State& s = *state_;
  std::visit(
      Overloaded{
          [&](const ApiCall& call) { s.HandleCall(call, now); },
          [&](const CallCancelled& cancelled) {
            s.open_calls.erase(cancelled.call);
            s.waiters->Cancelled(cancelled.call, *s.sessions);
          },
          [&](const StreamWritable& writable) { s.waiters->Writable(writable.call); },
          [&](const ChangesRead& read) { s.waiters->feed.Read(read); },
          [&](const AgentConnected& connected) {
            if (!s.failed) s.sessions->Connected(connected, now);
          },
          [&](const AgentMessage& message) {
            if (!s.failed) s.sessions->Received(message, now);
          },
          [&](const AgentWritable& writable) { s.sessions->Writable(writable.session, now); },
          [&](const AgentDisconnected& gone) { s.sessions->Disconnected(gone.session, now); },
          [&](const CommitDone& done) { s.Release(done.index); },
          [&](const CommitFailed& failure) { s.Fail(failure.status); },
          [&](const TimerDue&) { s.timer = absl::InfiniteDuration(); },
      },
      event);
}

void EntryCore::State::HandleCall(const ApiCall& call, const Moment& now) {
  open_calls[call.call] = methods.Streams(call.method);
  if (failed) {
    ready.push_back(Ending(call.call, methods.Streams(call.method),
                           Restarting(absl::UnavailableError("this core ended"))));
    open_calls.erase(call.call);
    return;
  }
  const MethodHandler* handler = methods.Find(call.method);
  if (handler == nullptr) {
    Answer(call, MakeError(absl::StatusCode::kUnimplemented, "METHOD_UNKNOWN",
                           "There is no method " + call.method + ".", {{"method", call.method}}));
    return;
  }
  if (std::optional<MethodResult> repeat = requests->Repeat(call)) {
    Answer(call, *std::move(repeat));
    return;
  }
  CallContext context{call, now, options, catalog, ids, dirty, *waiters, *sessions};
  MethodResult result = (*handler)(context);
  if (result.ok()) {
    if (*result == nullptr) return;  // Answered later.
    requests->Remember(call, **result, now);
  }
  Answer(call, std::move(result));
}

void EntryCore::State::Answer(const ApiCall& call, MethodResult result) {
  if (methods.Streams(call.method)) {
    replies.push_back(StreamEnd{call.call, result.status()});
  } else {
    replies.push_back(Reply{call.call, std::move(result)});
  }
}

void EntryCore::State::Release(int64_t durable_index) {
  waiters->feed.Durable(durable_index);
  for (Effect& effect : gate.Release(static_cast<uint64_t>(durable_index))) {
    ready.push_back(std::move(effect));
  }
}

void EntryCore::State::Fail(const absl::Status& status) {
  failed = true;
  gate.Fail();
  replies.clear();
  // What was released earlier rests on what is durable and may still be shown.
  for (const Effect& effect : ready) {
    if (const auto* reply = std::get_if<Reply>(&effect)) open_calls.erase(reply->call);
    if (const auto* end = std::get_if<StreamEnd>(&effect)) open_calls.erase(end->call);
  }
  for (const auto& [call, streams] : open_calls) {
    ready.push_back(Ending(call, streams, Restarting(status)));
  }
  open_calls.clear();
}

}  // namespace appsup::entry
