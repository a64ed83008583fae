#include "agent/journal/journal_writer.h"

#include <utility>

#include "absl/status/status.h"
#include "common/step_switch.h"

namespace appsup::agent {

JournalWriter::JournalWriter(Journal& journal, Clock& clock, Callbacks callbacks,
                             absl::Duration retry_period)
    : journal_(journal),
      clock_(clock),
      callbacks_(std::move(callbacks)),
      retry_period_(retry_period),
      thread_([this] { Run(); }) {}

JournalWriter::~JournalWriter() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.Signal();
  }
  thread_.join();
}

void JournalWriter::Append(WriteJournal write) {
  MutexLock lock(&mutex_);
  for (JournalPut& row : write.rows) {
    waiting_[{row.table, std::move(row.key)}] = std::move(row.value);
  }
  index_ = write.index;
  wake_.Signal();
}

void JournalWriter::Run() {
  MutexLock lock(&mutex_);
  while (!failed_) {
    while (waiting_.empty() && !stopping_) wake_.Wait(&mutex_);
    if (waiting_.empty()) return;
    const bool last = stopping_;
    CommitWaiting();
    if (last) return;
    // New writes do not make a full disk any emptier: the next try waits in any case.
    const absl::Duration until = clock_.Now().boot + retry_period_;
    while (stalled_ && !stopping_ && clock_.Now().boot < until) {
      wake_.WaitFor(&mutex_, until - clock_.Now().boot);
    }
  }
}

void JournalWriter::CommitWaiting() {
  auto taken = std::exchange(waiting_, {});
  const uint64_t index = index_;
  std::vector<JournalPut> rows;
  rows.reserve(taken.size());
  for (auto& [key, value] : taken) rows.push_back({key.first, key.second, value});
  mutex_.Unlock();
  APPSUP_STEP("writing-journal");
  const absl::Status status = journal_.Write(rows);
  APPSUP_STEP("journal-written");
  const bool may_pass = absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
  if (status.ok()) {
    callbacks_.committed(index);
  } else if (may_pass) {
    callbacks_.stalled(std::string(status.message()));
  } else {
    callbacks_.failed(status);
  }
  mutex_.Lock();
  stalled_ = !status.ok();
  failed_ = !status.ok() && !may_pass;
  // Newer rows win over those that could not be written.
  if (stalled_) waiting_.merge(taken);
}

}  // namespace appsup::agent
