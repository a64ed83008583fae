#include "agent/link/renewal.h"

#include <algorithm>
#include <utility>

#include "agent/link/enroll.h"
#include "agent/link/identity.h"
#include "common/backoff.h"
#include "common/log.h"

namespace appsup::agent {
namespace {

// The wall clock may jump, and the node may be enrolled again: look often, it costs one small file.
constexpr absl::Duration kLookPeriod = absl::Minutes(1);
constexpr absl::Duration kCallTimeout = absl::Seconds(20);
constexpr BackoffOptions kRetry{absl::Seconds(10), absl::Hours(1), 2, 0.2};

}  // namespace

absl::Time RenewalTime(absl::Time not_before, absl::Time not_after, uint64_t random) {
  const double share = 0.5 + 0.3 * (static_cast<double>(random >> 11) * 0x1.0p-53);
  return not_before + share * (not_after - not_before);
}

CertificateRenewal::CertificateRenewal(std::string entry, std::string identity_dir, Clock& clock,
                                       Random& random, std::function<void()> renewed)
    : entry_(std::move(entry)),
      identity_dir_(std::move(identity_dir)),
      clock_(clock),
      random_(random),
      renewed_(std::move(renewed)) {
  thread_ = std::thread([this] { Run(); });
}

CertificateRenewal::~CertificateRenewal() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.SignalAll();
  }
  thread_.join();
}

void CertificateRenewal::Run() {
  absl::Duration wait = absl::ZeroDuration();
  for (;;) {
    {
      MutexLock lock(&mutex_);
      if (!stopping_ && wait > absl::ZeroDuration()) wake_.WaitFor(&mutex_, wait);
      if (stopping_) return;
    }
    wait = Step();
  }
}

absl::Duration CertificateRenewal::Step() {
  const absl::StatusOr<Identity> identity = ReadIdentity(identity_dir_);
  if (!identity.ok()) return kLookPeriod;  // The link says so.
  const absl::StatusOr<NodeName> node = NodeOf(*identity);
  if (!node.ok()) return kLookPeriod;
  if (node->serial != renew_serial_) {
    renew_serial_ = node->serial;
    renew_at_ = RenewalTime(node->not_before, node->not_after, random_.Next());
    failures_ = 0;
  }
  const absl::Duration left = renew_at_ - clock_.Now().wall;
  if (left > absl::ZeroDuration()) return std::min(left, kLookPeriod);

  absl::StatusOr<Identity> renewed = RenewIdentity(*identity, entry_, kCallTimeout);
  absl::Status status = renewed.status();
  if (status.ok()) status = WriteIdentity(identity_dir_, *renewed);
  if (status.ok()) {
    Log(LogLevel::kInfo, "certificate-renewed", {{"node", node->node}});
    renewed_();
    return kLookPeriod;
  }
  Log(LogLevel::kWarning, "certificate-not-renewed",
      {{"node", node->node}, {"expires", absl::FormatTime(node->not_after)}, {"status", status}});
  return Backoff(kRetry).Next(static_cast<uint32_t>(failures_++), random_.Next());
}

}  // namespace appsup::agent
