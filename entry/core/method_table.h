#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/random.h"
#include "entry/core/catalog.h"
#include "entry/core/effect.h"
#include "entry/core/event.h"
#include "entry/core/options.h"

namespace appsup::entry {

class Dirty;
class Waiters;
class Sessions;

// What a method may use. A handler checks everything before its first change of the catalog: an
// error answer means that nothing changed.
struct CallContext {
  const ApiCall& call;
  const Moment& now;
  const CoreOptions& options;
  Catalog& catalog;
  Random& ids;
  Dirty& dirty;        // Which apps and nodes are to be reconciled at Flush.
  Waiters& waiters;    // Calls that are answered later: WaitOperation, WatchOperation, WatchEvents.
  Sessions& sessions;  // Connected agents.
};

// nullptr: the handler took the call over and answers it later.
using MethodResult = absl::StatusOr<std::shared_ptr<const google::protobuf::Message>>;
using MethodHandler = std::function<MethodResult(CallContext&)>;

// Methods of the API by full name ("appsupervisor.v1.AppService/CreateApp").
class MethodTable {
 public:
  // `handle(CallContext&, const Request&)` returns StatusOr<Response>.
  template <class Request, class Handle>
  void AddUnary(const std::string& method, Handle handle) {
    handlers_[method] = [handle](CallContext& context) -> MethodResult {
      auto response = handle(context, static_cast<const Request&>(*context.call.request));
      if (!response.ok()) return std::move(response).status();
      return std::make_shared<typename decltype(response)::value_type>(std::move(*response));
    };
  }

  // `handle(CallContext&, const Request&)` returns a Status; OK: it answers later.
  template <class Request, class Handle>
  void AddDeferred(const std::string& method, Handle handle) {
    handlers_[method] = [handle](CallContext& context) -> MethodResult {
      absl::Status status = handle(context, static_cast<const Request&>(*context.call.request));
      if (!status.ok()) return status;
      return MethodResult(nullptr);
    };
  }

  // The same for a method that answers by a stream.
  template <class Request, class Handle>
  void AddStream(const std::string& method, Handle handle) {
    AddDeferred<Request>(method, std::move(handle));
    streams_.insert(method);
  }

  bool Streams(const std::string& method) const { return streams_.contains(method); }

  const MethodHandler* Find(const std::string& method) const {
    auto handler = handlers_.find(method);
    return handler == handlers_.end() ? nullptr : &handler->second;
  }

  const std::map<std::string, MethodHandler>& all() const { return handlers_; }

 private:
  std::map<std::string, MethodHandler> handlers_;
  std::set<std::string> streams_;
};

// One per service, each in its own file.
void AddAppMethods(MethodTable& table);
void AddInstanceMethods(MethodTable& table);
void AddEnvironmentMethods(MethodTable& table);
void AddNodeMethods(MethodTable& table);
void AddProjectMethods(MethodTable& table);
void AddOperationMethods(MethodTable& table);
void AddEventMethods(MethodTable& table);
void AddEnrollMethods(MethodTable& table);

}  // namespace appsup::entry
