#pragma once

namespace appsup::rpc {

// gRPC's own lines go into our log, as `grpc` at debug level (errors: at warning level), instead of
// to standard error. Once, in main.
void TakeGrpcLog();

}  // namespace appsup::rpc
