// How an entry process takes the leadership, commits, and fails to.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/backoff.h"
#include "common/id.h"
#include "tests/simulation/entry_host.h"

namespace appsup::simulation {
namespace {

constexpr BackoffOptions kLeadBackoff{absl::Milliseconds(100), absl::Seconds(5), 2, 0.2};
constexpr absl::Duration kServiceRestart = absl::Seconds(1);

}  // namespace

void EntryHost::Lead(absl::Duration delay) {
  Later(delay, [this, term = term_] {
    if (term == term_) Led();
  });
}

void EntryHost::Led() {
  const bool other_lives = disk_->leader != nullptr && disk_->leader != this && disk_->leader->up();
  if (other_lives) {
    return Lead(Backoff(kLeadBackoff).Next(failures_++, random_.Next()));
  }
  disk_->leader = this;
  epoch_ = disk_->durable.TakeEpoch();
  entry::CoreOptions options = options_;
  options.seed = random_.Next();
  options.boot_id = absl::StrCat("boot-", name_, "-", boots_);
  auto core =
      entry::EntryCore::Create(options, disk_->durable.Rows(), epoch_, NewUuid(random_), Now());
  if (!core.ok()) return world_.Fail(1, std::string(core.status().message()), "readable rows");
  core_ = *std::move(core);
  world_.Note(name_, "leading", std::to_string(epoch_));
  observer_->OnLeading(epoch_);
  for (entry::Effect& effect : core_->Flush(Now())) Perform(effect);
}

void EntryHost::BeginCommit() {
  busy_ = true;
  committing_ = std::exchange(uncommitted_, {});
  const CommitFault fault = std::exchange(disk_->next, CommitFault::kNone);
  Later(Between(random_, disk_->low, disk_->high), [this, fault, term = term_] {
    if (term == term_) EndCommit(fault);
  });
}

void EntryHost::EndCommit(CommitFault fault) {
  busy_ = false;
  const std::vector<entry::Transaction> group = std::exchange(committing_, {});
  if (disk_->durable.epoch() != epoch_) {
    return Failed(absl::FailedPreconditionError("another entry has taken over"));
  }
  const bool written = fault == CommitFault::kNone || fault == CommitFault::kDone ||
                       fault == CommitFault::kFsyncDone;
  if (written) Write(group);
  if (fault == CommitFault::kNone) {
    failures_ = 0;
    if (!uncommitted_.empty()) BeginCommit();
    return Post(entry::CommitDone{group.back().last_index});
  }
  world_.Note(name_, "commit-failed", written ? "done" : "not done");
  const bool hopeless = fault == CommitFault::kFsync || fault == CommitFault::kFsyncDone;
  Failed(hopeless ? absl::DataLossError("fsync failed") : absl::UnavailableError("disk error"));
}

void EntryHost::Write(const std::vector<entry::Transaction>& group) {
  for (const entry::Transaction& transaction : group) {
    const absl::Status status = disk_->Apply(transaction, epoch_, *observer_);
    if (!status.ok())
      return world_.Fail(1, std::string(status.message()), "no gap between indices");
  }
}

void EntryHost::Failed(const absl::Status& status) {
  if (core_ == nullptr) return;
  core_->Handle(entry::CommitFailed{status}, Now());
  for (entry::Effect& effect : core_->Flush(Now())) {
    // Nothing that rests upon the failed commit may be made durable or sent.
    if (std::holds_alternative<entry::Reply>(effect) ||
        std::holds_alternative<entry::StreamEnd>(effect) ||
        std::holds_alternative<entry::Note>(effect)) {
      Perform(effect);
    }
  }
  core_.reset();
  ++term_;
  ++timer_;
  uncommitted_.clear();
  busy_ = false;
  Gone(status);
  for (const auto& [stream, node] : std::exchange(streams_, {})) {
    auto goodbye = std::make_shared<api::ConnectResponse>();
    goodbye->mutable_goodbye()->set_reason("the entry has no access to its catalog");
    goodbye->mutable_goodbye()->mutable_retry_after()->set_nanos(200'000'000);
    network_.Send(stream, std::shared_ptr<const api::ConnectResponse>(std::move(goodbye)));
    network_.Close(stream, Side::kEntry);
  }
  if (absl::IsDataLoss(status)) {
    Crash(false);
    world_.After(kServiceRestart, [this] { Start(); });
    return;
  }
  Lead(Backoff(kLeadBackoff).Next(failures_++, random_.Next()));
}

// Whoever waits for an answer gets one.
void EntryHost::Gone(const absl::Status& why) {
  for (auto& [id, open] : std::exchange(calls_, {})) {
    const absl::Status status = absl::UnavailableError(why.message());
    if (open.watch) {
      open.watch->end(status);
    } else {
      open.answer(status);
    }
  }
}

}  // namespace appsup::simulation
