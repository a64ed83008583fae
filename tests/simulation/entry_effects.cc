// What the entry's core wants done, and how this process does it.
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "tests/simulation/entry_host.h"

namespace appsup::simulation {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

std::string Describe(const entry::Note& note) {
  std::string text;
  for (const auto& [key, value] : note.fields) absl::StrAppend(&text, " ", key, "=", value);
  return text;
}

}  // namespace

void EntryHost::Perform(entry::Effect& effect) {
  std::visit(Overloaded{
                 [&](entry::Commit& commit) {
                   uncommitted_.push_back(std::move(commit.transaction));
                   if (!busy_) BeginCommit();
                 },
                 [&](entry::Reply& reply) { EndCall(reply.call, std::move(reply.response)); },
                 [&](const entry::StreamMessage& message) {
                   const auto open = calls_.find(message.call);
                   if (open == calls_.end() || !open->second.watch) return;
                   const auto& event = static_cast<const api::Event&>(*message.message);
                   observer_->OnWatched(open->second.call, event);
                   open->second.watch->event(event);
                   Later(Between(random_, watch_low_, watch_high_),
                         [this, call = message.call] { Post(entry::StreamWritable{call}); });
                 },
                 [&](const entry::StreamEnd& end) { EndStream(end.call, end.status); },
                 [&](const entry::ReadChanges& read) {
                   Later(Between(random_, disk_->low, disk_->high), [this, read, term = term_] {
                     if (term != term_) return;
                     Post(entry::ChangesRead{read.call,
                                             disk_->durable.Read(read.after_index, read.limit)});
                   });
                 },
                 [&](const entry::SendToAgent& send) {
                   const auto stream = streams_.find(send.session);
                   if (stream == streams_.end()) return;
                   observer_->OnEntrySays(send.session, stream->second, *send.message);
                   network_.Send(send.session, send.message);
                 },
                 [&](const entry::CloseAgent& close) { CloseStream(close.session); },
                 [&](const entry::SetTimer& timer) { SetTimer(timer.at); },
                 [&](const entry::Note& note) {
                   world_.Note(name_, note.event, "", [&] { return Describe(note); });
                 },
             },
             effect);
}

void EntryHost::SetTimer(absl::Duration boot) {
  const uint64_t number = ++timer_;
  if (boot == absl::InfiniteDuration()) return;
  world_.At(clock_.WhenBootIs(boot), [this, life = life_, term = term_, number] {
    if (life == life_ && term == term_ && number == timer_) Post(entry::TimerDue{});
  });
}

void EntryHost::EndCall(entry::CallId id, absl::StatusOr<entry::MessagePtr> reply) {
  auto open = calls_.extract(id);
  if (open.empty()) return;
  const Open call = std::move(open.mapped());
  if (call.watch) return call.watch->end(reply.status());
  observer_->OnReply(call.call, reply);
  call.answer(std::move(reply));
}

void EntryHost::EndStream(entry::CallId id, const absl::Status& status) {
  auto open = calls_.extract(id);
  if (open.empty()) return;
  if (open.mapped().watch) {
    open.mapped().watch->end(status);
  } else {
    open.mapped().answer(status);
  }
}

void EntryHost::CloseStream(StreamId stream) {
  if (!streams_.contains(stream)) return;
  network_.Close(stream, Side::kEntry);
  Later(Between(random_, absl::Microseconds(50), absl::Milliseconds(5)),
        [this, stream] { OnEnded(stream); });
}

}  // namespace appsup::simulation
