#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/clock.h"
#include "entry/core/catalog.h"
#include "entry/core/event.h"
#include "entry/core/method_table.h"
#include "entry/core/options.h"

namespace appsup::entry {

// Makes repeated calls harmless: what a call with a request_id answered is a row of the transaction
// that carried it out. Errors are not kept, as they changed nothing. Core thread only.
class RequestLog {
 public:
  RequestLog(const CoreOptions& options, Catalog& catalog);

  // Nothing: carry the call out. Else its answer: that of the first call with this id (an operation
  // as it is now), or why the id is refused.
  std::optional<MethodResult> Repeat(const ApiCall& call) const;

  // The call succeeded.
  void Remember(const ApiCall& call, const google::protobuf::Message& response, const Moment& now);

  void Expire(absl::Time now);

 private:
  const CoreOptions& options_;
  Catalog& catalog_;
  std::set<std::pair<absl::Time, std::string>> by_expiry_;
};

}  // namespace appsup::entry
