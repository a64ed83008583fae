#include "common/rpc/grpc_log.h"

#include <grpc/support/log.h>

#include "common/log.h"

namespace appsup::rpc {
namespace {

void Take(gpr_log_func_args* line) {
  const LogLevel level =
      line->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug;
  Log(level, "grpc", {{"file", line->file}, {"line", line->line}, {"message", line->message}});
}

}  // namespace

void TakeGrpcLog() { gpr_set_log_function(&Take); }

}  // namespace appsup::rpc
