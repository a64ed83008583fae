#include "entry/store_thread.h"

#include <utility>

#include "common/clock.h"
#include "common/log.h"
#include "common/status.h"
#include "common/step_switch.h"

namespace appsup::entry {

absl::StatusOr<std::unique_ptr<StoreThread>> StoreThread::Start(std::unique_ptr<Store> store,
                                                                std::string holder,
                                                                Metrics& metrics, Answers answers) {
  std::unique_ptr<StoreThread> thread(
      new StoreThread(std::move(store), std::move(holder), metrics, std::move(answers)));
  ASSIGN_OR_RETURN(thread->thread_, LoopThread::Start());
  return thread;
}

StoreThread::StoreThread(std::unique_ptr<Store> store, std::string holder, Metrics& metrics,
                         Answers answers)
    : store_(std::move(store)),
      holder_(std::move(holder)),
      answers_(std::move(answers)),
      commit_seconds_(metrics.Histogram("appsup_store_commit_seconds", "Duration of store commits",
                                        {0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1, 10})),
      group_size_(metrics.Histogram("appsup_store_commit_transactions",
                                    "Transactions that one store commit made durable",
                                    {1, 2, 4, 8, 16, 32, 64, 128})) {}

StoreThread::~StoreThread() {
  if (thread_ != nullptr) thread_->Join();
}

void StoreThread::Lead(uint64_t term, absl::Duration delay) {
  thread_->loop().Post([this, term, delay] {
    thread_->loop().AddTimer(SystemClock().Now().boot + delay, [this, term] {
      absl::StatusOr<Store::Leadership> leadership = store_->Lead(holder_);
      term_ = leadership.ok() ? term : 0;
      answers_.led(term, std::move(leadership));
    });
  });
}

void StoreThread::Commit(uint64_t term, Transaction transaction) {
  MutexLock lock(&mutex_);
  if (waiting_term_ != term) waiting_.clear();
  waiting_term_ = term;
  waiting_.push_back(std::move(transaction));
  if (waiting_.size() == 1) {
    thread_->loop().Post([this] { CommitWaiting(); });
  }
}

void StoreThread::CommitWaiting() {
  std::vector<Transaction> group;
  uint64_t term = 0;
  {
    MutexLock lock(&mutex_);
    group.swap(waiting_);
    term = waiting_term_;
  }
  if (group.empty() || term != term_) return;
  const absl::Duration start = SystemClock().Now().boot;
  APPSUP_STEP("committing");
  const absl::Status status = store_->Commit(group);
  APPSUP_STEP("committed");
  commit_seconds_.Observe(absl::ToDoubleSeconds(SystemClock().Now().boot - start));
  group_size_.Observe(static_cast<double>(group.size()));
  if (status.ok()) return answers_.committed(term, group.back().last_index);
  term_ = 0;
  Log(LogLevel::kError, "commit-failed", {{"status", status}});
  answers_.failed(term, status);
}

void StoreThread::Read(const ReadChanges& read) {
  thread_->loop().Post([this, read] {
    ChangesRead answer;
    answer.call = read.call;
    answer.changes = store_->ReadChanges(read.after_index, read.limit);
    answers_.changes_read(std::move(answer));
  });
}

}  // namespace appsup::entry
