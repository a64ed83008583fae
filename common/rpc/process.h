#pragma once

namespace appsup::rpc {

// What gRPC has for the whole process only. Once, in main, before anything of gRPC is used.
//  * Its own lines go into our log, as `grpc` at debug level (errors: at warning level), instead of
//    to standard error.
//  * Abseil's search for deadlocks, which some distributions build in, is off: it would cost
//    each lock that gRPC takes a global one, and only ever looks at gRPC's own.
//  * SetTlsDefaults: for each session ticket OpenSSL 3.0 reads the peer's certificate again, and
//    agents would come with them to a process that no longer has the key.
void PrepareProcess();

}  // namespace appsup::rpc
