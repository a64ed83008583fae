#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/id.h"
#include "entry/core/method_table.h"
#include "entry/core/proto_time.h"
#include "entry/core/violations.h"

// What methods that change a resource have in common.
namespace appsup::entry {

// An opaque etag, another one at each call. Ids of a start are seeded by its timeline, so an etag
// of a lost history does not come again.
std::string NewEtag(CallContext& context);

// ABORTED (reason ETAG_MISMATCH) if `given` is set and not `actual`.
absl::Status CheckEtag(const std::string& given, const std::string& actual,
                       const std::string& name);

// NOT_FOUND: reason APP_NOT_FOUND for kind "App".
absl::Status NotFound(const std::string& kind, const std::string& name);

// ALREADY_EXISTS.
absl::Status AlreadyExists(const std::string& name, const std::string& advice);

// FAILED_PRECONDITION.
absl::Status WrongState(const std::string& reason, const std::string& name,
                        const std::string& sentence);

// Marks a resource as written by this call: update_time, etag, actor. For all that have them.
template <class Resource>
void MarkWritten(CallContext& context, Resource& resource) {
  *resource.mutable_update_time() = ToTimestamp(context.now.wall);
  resource.set_etag(NewEtag(context));
  context.catalog.SetActor(resource.name(), context.call.principal.name);
}

// A new resource's name, uid, times and etag.
template <class Resource>
void MarkCreated(CallContext& context, const std::string& name, Resource& resource) {
  resource.set_name(name);
  resource.set_uid(NewUuid(context.ids));
  *resource.mutable_create_time() = ToTimestamp(context.now.wall);
  MarkWritten(context, resource);
}

}  // namespace appsup::entry
