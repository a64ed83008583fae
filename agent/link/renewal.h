#pragma once

#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/random.h"

namespace appsup::agent {

// When a certificate that is valid from `not_before` to `not_after` should be renewed: evenly
// between 50 and 80 % of its life, by 64 random bits.
absl::Time RenewalTime(absl::Time not_before, absl::Time not_after, uint64_t random);

// Renews the node's certificate in time, over a fresh connection, and writes it to the identity's
// folder; failures are tried again, at the latest every hour. One thread of its own.
class CertificateRenewal {
 public:
  // `renewed` is called on that thread after a new certificate was written: the link should open a
  // new connection. `clock` and `random` outlive this.
  CertificateRenewal(std::string entry, std::string identity_dir, Clock& clock, Random& random,
                     std::function<void()> renewed);
  ~CertificateRenewal();  // Ends the thread; waits for a call that is under way.

 private:
  void Run();
  // Returns when to look again.
  absl::Duration Step();

  const std::string entry_;
  const std::string identity_dir_;
  Clock& clock_;
  Random& random_;
  const std::function<void()> renewed_;
  absl::Time renew_at_ = absl::InfiniteFuture();  // For the certificate with renew_serial_.
  std::string renew_serial_;
  int failures_ = 0;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace appsup::agent
