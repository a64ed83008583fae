#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/core/options.h"
#include "agent/core/report_book.h"
#include "appsupervisor/v1/link.pb.h"
#include "common/clock.h"

namespace appsup::agent {

// The agent's side of one stream: what may be said when. Owned by AgentCore, core thread only.
//
//   down ──Up──▶ hello (in parts) ──▶ welcome awaited ──Welcomed──▶ open ──Down──▶ down
//
// Everything that waits to be said is kept by key (newest heartbeat, newest answer to assignments,
// newest status per instance, one answer per command), so a slow entry costs no memory: promise 9.
class LinkSession {
 public:
  // Commands of one session that are not answered yet.
  static constexpr size_t kMaxCommands = 256;
  static constexpr size_t kMaxHeartbeats = 64;  // Without an answer; older ones earn no lease.
  static constexpr size_t kMaxCompleteBytes = size_t{256} << 20;  // Of one COMPLETE set.

  explicit LinkSession(const CoreOptions& options) : options_(options) {}

  // `needed_index`: when the journal is durable up to it, what Hello says is.
  void Up(uint64_t connection, std::vector<appsupervisor::v1::Hello> hello, uint64_t needed_index,
          const Moment& now);
  void Down();
  void Writable();
  void Welcomed(const appsupervisor::v1::Welcome& welcome, const Moment& now);

  // What to do with an Assignments message.
  enum class Verdict { kPending, kApply, kGap };
  // kApply: `batch` has all parts of it. kGap: ask for a COMPLETE set, once.
  Verdict Take(const appsupervisor::v1::Assignments& message,
               appsupervisor::v1::Assignments* batch);

  // Answers to the peer; `needed_index` as in ReportBook.
  void Applied(appsupervisor::v1::AssignmentsApplied applied, uint64_t needed_index);
  // The node's usage changed.
  void SetUsage(const appsupervisor::v1::ResourceTotals& usage);
  // The boot time at which the granted lease ends; the infinite past if it answers no heartbeat of
  // this session.
  absl::Duration Granted(const appsupervisor::v1::LeaseGranted& granted, const Moment& now);
  absl::Duration lease() const { return lease_; }
  // False if it is open already, or too many are; then it is answered, or ignored.
  bool BeginCommand(int64_t id);
  void DropCommand(int64_t id) { commands_.erase(id); }
  std::vector<int64_t> OpenCommands() const;
  void EndCommand(int64_t id, std::optional<appsupervisor::v1::LogChunk> chunk,
                  const absl::Status& status);
  bool HasCommand(int64_t id) const { return commands_.contains(id); }

  // The next message, if one may be sent now.
  std::shared_ptr<const appsupervisor::v1::ConnectRequest> Next(ReportBook& reports,
                                                                uint64_t durable_index,
                                                                const Moment& now);
  // When Next has to be asked again without news.
  absl::Duration deadline(const ReportBook& reports, const Moment& now) const;
  // The entry has not answered Hello or a heartbeat, or taken a message, for a whole lease.
  bool Silent(const Moment& now) const { return now.boot >= SilentAt(); }

  uint64_t connection() const { return connection_; }  // 0: down.
  bool open() const { return phase_ == Phase::kOpen; }
  int64_t version() const { return version_; }

 private:
  enum class Phase { kDown, kHello, kWelcome, kOpen };
  using Request = appsupervisor::v1::ConnectRequest;
  struct Answer {
    std::optional<appsupervisor::v1::LogChunk> chunk;
    std::optional<appsupervisor::v1::CommandResult> result;
  };

  absl::Duration SilentAt() const;
  bool NextHeartbeat(const Moment& now, Request* request);
  bool NextAnswer(Request* request);

  const CoreOptions& options_;
  Phase phase_ = Phase::kDown;
  uint64_t connection_ = 0;
  bool writable_ = false;
  std::deque<appsupervisor::v1::Hello> hello_;
  uint64_t hello_index_ = 0;

  int64_t version_ = 0;
  bool asked_complete_ = false;                             // Since the last COMPLETE set.
  std::optional<appsupervisor::v1::Assignments> complete_;  // Parts that came so far.
  size_t complete_bytes_ = 0;
  std::optional<appsupervisor::v1::AssignmentsApplied> applied_;
  uint64_t applied_index_ = 0;

  absl::Duration heartbeat_period_;
  absl::Duration lease_;
  absl::Duration next_heartbeat_;
  // Sending of the oldest Hello or heartbeat that was not answered; of the message under way.
  absl::Duration unanswered_since_ = absl::InfiniteDuration();
  absl::Duration writing_since_ = absl::InfiniteDuration();
  int64_t heartbeat_ = 0;
  std::map<int64_t, absl::Duration> heartbeats_;  // When those without an answer were sent.
  appsupervisor::v1::ResourceTotals usage_;
  bool usage_changed_ = false;

  absl::Duration next_status_;
  std::map<int64_t, Answer> commands_;
};

}  // namespace appsup::agent
