#include "entry/core_thread.h"

#include <type_traits>

#include "common/id.h"
#include "common/log.h"
#include "common/status.h"
#include "common/step_switch.h"

namespace appsup::entry {
namespace {

constexpr BackoffOptions kLeadBackoff{absl::Milliseconds(100), absl::Seconds(5), 2, 0.2};

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

// The store itself is wrong, so that waiting helps nobody.
bool IsHopeless(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
         absl::IsDataLoss(status);
}

constexpr size_t kMaxReason = 300;  // Of the store's words in an answer.

// On one line; libpq's are several.
std::string Shortened(std::string text) {
  for (char& c : text) c = c == '\n' || c == '\t' ? ' ' : c;
  if (text.size() <= kMaxReason) return text;
  size_t cut = kMaxReason;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  return text.substr(0, cut) + "…";
}

void Write(const Note& note) {
  std::vector<LogField> fields;
  for (const auto& [key, value] : note.fields) fields.emplace_back(key, value);
  LogFields(note.warning ? LogLevel::kWarning : LogLevel::kInfo, note.event, fields);
}

}  // namespace

CoreThread::CoreThread(CoreOptions options, Clock& clock, Random& random, Metrics& metrics)
    : options_(options), clock_(clock), random_(random), metrics_(metrics) {}

CoreThread::~CoreThread() { Stop(); }

absl::Status CoreThread::Start(std::unique_ptr<Store> store, const std::string& holder,
                               Shell shell) {
  shell_ = std::move(shell);
  options_.seed = random_.Next();
  ASSIGN_OR_RETURN(thread_, LoopThread::Start());
  ASSIGN_OR_RETURN(store_, StoreThread::Start(std::move(store), holder, metrics_, StoreAnswers()));
  store_->Lead(term_, absl::ZeroDuration());
  MutexLock lock(&mutex_);
  running_ = true;
  thread_->loop().Post([this] { HandleWaiting(); });
  return absl::OkStatus();
}

StoreThread::Answers CoreThread::StoreAnswers() {
  EventLoop& loop = thread_->loop();
  StoreThread::Answers answers;
  answers.led = [this, &loop](uint64_t term, absl::StatusOr<Store::Leadership> leadership) {
    loop.Post([this, term, leadership = std::move(leadership)]() mutable {
      Led(term, std::move(leadership));
    });
  };
  answers.committed = [this, &loop](uint64_t term, int64_t index) {
    loop.Post([this, term, index] {
      if (term != term_) return;
      failures_ = 0;
      Post(CommitDone{index});
    });
  };
  answers.failed = [this, &loop](uint64_t term, const absl::Status& status) {
    loop.Post([this, term, status] { Failed(term, status); });
  };
  answers.changes_read = [this](ChangesRead changes) { Post(std::move(changes)); };
  return answers;
}

void CoreThread::Stop() {
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    running_ = false;
  }
  if (thread_ != nullptr) thread_->Join();
  store_.reset();
  core_.reset();
  HandleWaiting();
  thread_.reset();
}

void CoreThread::Post(Event event, absl::AnyInvocable<void()> handled) {
  {
    MutexLock lock(&mutex_);
    if (!stopped_) {
      waiting_.emplace_back(std::move(event), std::move(handled));
      if (running_ && waiting_.size() == 1) {
        thread_->loop().Post([this] { HandleWaiting(); });
      }
      return;
    }
  }
  HandleWithoutCore(event);
}

void CoreThread::Inspect(std::function<void(const EntryCore*)> look) {
  {
    MutexLock lock(&mutex_);
    if (running_) {
      thread_->loop().Post([this, look = std::move(look)] { look(core_.get()); });
      return;
    }
  }
  look(nullptr);
}

absl::Status CoreThread::NotLeading() const {
  std::string reason;
  {
    MutexLock lock(&mutex_);
    reason = Shortened(std::string(trouble_.message()));
  }
  const std::string message = "the entry has no access to its catalog at the moment";
  if (reason.empty()) {
    return MakeError(absl::StatusCode::kUnavailable, "NOT_LEADING", message + "; try again");
  }
  return MakeError(absl::StatusCode::kUnavailable, "NOT_LEADING",
                   message + " (" + reason + "); try again", {{"cause", reason}});
}

void CoreThread::SetTrouble(const absl::Status& trouble) {
  MutexLock lock(&mutex_);
  trouble_ = trouble;
}

void CoreThread::HandleWaiting() {
  std::vector<Posted> events;
  {
    MutexLock lock(&mutex_);
    events.swap(waiting_);
  }
  for (Posted& posted : events) {
    if (core_ == nullptr) {
      HandleWithoutCore(posted.first);
    } else {
      core_->Handle(std::move(posted.first), clock_.Now());
    }
    if (posted.second) posted.second();
  }
  if (core_ != nullptr) Flush();
}

// Without a shell it never started: whoever posted is being ended as well.
void CoreThread::HandleWithoutCore(const Event& event) {
  if (const auto* call = std::get_if<ApiCall>(&event); call != nullptr) {
    if (shell_.reply) shell_.reply(Reply{call->call, NotLeading()});
  } else if (const auto* agent = std::get_if<AgentConnected>(&event); agent != nullptr) {
    if (!shell_.close_agent) return;
    shell_.close_agent(CloseAgent{agent->session, "the entry has no access to its catalog"});
  }
}

void CoreThread::Flush() {
  std::vector<Effect> effects = core_->Flush(clock_.Now());
  for (Effect& effect : effects) {
    APPSUP_STEP(effect);
    Perform(std::move(effect));
  }
  if (!effects.empty()) APPSUP_STEP("flushed");
}

void CoreThread::Perform(Effect effect) {
  std::visit(Overloaded{
                 [this](Commit& commit) { store_->Commit(term_, std::move(commit.transaction)); },
                 [this](Reply& reply) { shell_.reply(reply); },
                 [this](StreamMessage& message) { shell_.stream_message(message); },
                 [this](StreamEnd& end) { shell_.stream_end(end); },
                 [this](ReadChanges& read) { store_->Read(read); },
                 [this](SendToAgent& send) { shell_.send_to_agent(send); },
                 [this](CloseAgent& close) { shell_.close_agent(close); },
                 [this](SetTimer& timer) { SetTimerAt(timer.at); },
                 [](Note& note) { Write(note); },
             },
             effect);
}

void CoreThread::SetTimerAt(absl::Duration boot) {
  if (timer_ != 0) thread_->loop().CancelTimer(timer_);
  timer_ = 0;
  if (boot == absl::InfiniteDuration()) return;
  timer_ = thread_->loop().AddTimer(boot, [this] {
    timer_ = 0;
    Post(TimerDue{});
  });
}

void CoreThread::Led(uint64_t term, absl::StatusOr<Store::Leadership> leadership) {
  if (term != term_) return;
  if (!leadership.ok()) {
    return IsHopeless(leadership.status()) ? shell_.fatal(leadership.status())
                                           : LeadAgain(leadership.status());
  }
  absl::StatusOr<std::unique_ptr<EntryCore>> core = EntryCore::Create(
      options_, leadership->rows, leadership->epoch, NewUuid(random_), clock_.Now());
  if (!core.ok()) return shell_.fatal(Annotate(core.status(), "the catalog cannot be read"));
  core_ = std::move(*core);
  SetTrouble(absl::OkStatus());
  Log(LogLevel::kInfo, "leading",
      {{"epoch", leadership->epoch}, {"log_index", leadership->rows.last_index}});
  shell_.leading();
  Flush();
}

void CoreThread::Failed(uint64_t term, const absl::Status& status) {
  if (term != term_ || core_ == nullptr) return;
  core_->Handle(CommitFailed{status}, clock_.Now());
  for (Effect& effect : core_->Flush(clock_.Now())) {
    // Nothing that rests upon the failed commit may be made durable or sent.
    if (std::holds_alternative<Reply>(effect) || std::holds_alternative<StreamEnd>(effect) ||
        std::holds_alternative<Note>(effect)) {
      Perform(std::move(effect));
    }
  }
  core_.reset();
  SetTimerAt(absl::InfiniteDuration());
  SetTrouble(status);
  shell_.gone(NotLeading());
  // What was lost may not even be known to be lost: only a new process may read those files.
  if (absl::IsDataLoss(status)) return shell_.fatal(status);
  ++term_;
  LeadAgain(status);
}

void CoreThread::LeadAgain(const absl::Status& why) {
  SetTrouble(why);
  const absl::Duration delay = Backoff(kLeadBackoff).Next(failures_++, random_.Next());
  Log(LogLevel::kWarning, "not-leading", {{"status", why}, {"retry_in", delay}});
  store_->Lead(term_, delay);
}

}  // namespace appsup::entry
