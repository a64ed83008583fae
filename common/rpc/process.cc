#include "common/rpc/process.h"

#include <grpc/support/log.h>

#include "absl/synchronization/mutex.h"
#include "common/log.h"
#include "common/tls.h"

namespace appsup::rpc {
namespace {

void Take(gpr_log_func_args* line) {
  const LogLevel level =
      line->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug;
  Log(level, "grpc", {{"file", line->file}, {"line", line->line}, {"message", line->message}});
}

}  // namespace

void PrepareProcess() {
  gpr_set_log_function(&Take);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  SetTlsDefaults();
}

}  // namespace appsup::rpc
