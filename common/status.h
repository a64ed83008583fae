#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Forward declared so that the cores do not pull in protobuf headers with each error they return.
// Who looks into an ErrorInfo or a Status includes google/rpc/error_details.pb.h or status.pb.h.
namespace google::rpc {
class ErrorInfo;
class Status;
}  // namespace google::rpc

namespace appsup {

// Value of ErrorInfo.domain in every error that this system makes.
inline constexpr char kErrorDomain[] = "appsupervisor";

// One wrong field of a request. `field` is a path as in AIP-193: "app.spec.ports[1].number".
struct FieldViolation {
  std::string field;
  std::string description;
  bool operator==(const FieldViolation&) const = default;
};

// An error as operators and programs read it. The status carries exactly one google.rpc.ErrorInfo
// (`reason` UPPER_SNAKE of at most 63 characters, domain kErrorDomain, `metadata`) and, if there
// are violations, one google.rpc.BadRequest. Each variable part of `message` belongs into
// `metadata` too, so that a program need not parse the text. `code` is not OK.
absl::Status MakeError(absl::StatusCode code, std::string reason, std::string message,
                       std::map<std::string, std::string> metadata = {},
                       std::vector<FieldViolation> violations = {});

// The ErrorInfo that the status carries, if it carries one that can be parsed.
std::optional<google::rpc::ErrorInfo> GetErrorInfo(const absl::Status& status);

// ErrorInfo.reason, or "" if there is none. Needs no protobuf header at the caller.
std::string ErrorReason(const absl::Status& status);

// The field violations that the status carries, in order; empty if there are none.
std::vector<FieldViolation> GetFieldViolations(const absl::Status& status);

// Puts `context` and ": " before the message; code and details stay. OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

// The wire form, for Operation.error and the like, and back. An unknown code becomes UNKNOWN.
google::rpc::Status ToProto(const absl::Status& status);
absl::Status FromProto(const google::rpc::Status& proto);

// Errno as a status: "open /etc/x: No such file or directory", with a code that fits.
absl::Status ErrnoError(int error_number, std::string_view what);

// Drops an error on purpose. It is logged at debug level; `why` is the reason for readers.
void IgnoreError(const absl::Status& status, std::string_view why);

namespace internal {
inline absl::Status StatusOf(absl::Status status) { return status; }
template <class T>
absl::Status StatusOf(absl::StatusOr<T>&& result) {
  return std::move(result).status();
}
}  // namespace internal
}  // namespace appsup

#define APPSUP_CONCAT_INNER_(a, b) a##b
#define APPSUP_CONCAT_(a, b) APPSUP_CONCAT_INNER_(a, b)

// RETURN_IF_ERROR(DoIt(x)); takes a Status or a StatusOr whose value is not needed.
#define RETURN_IF_ERROR(...)                                                     \
  do {                                                                           \
    if (absl::Status appsup_status_ = ::appsup::internal::StatusOf(__VA_ARGS__); \
        !appsup_status_.ok()) {                                                  \
      return appsup_status_;                                                     \
    }                                                                            \
  } while (false)

// ASSIGN_OR_RETURN(auto value, Compute(x)); `lhs` with a comma in it goes into parentheses-free
// form by a `using` before. Not usable as the body of an `if` without braces.
#define ASSIGN_OR_RETURN(lhs, ...) \
  ASSIGN_OR_RETURN_INNER_(APPSUP_CONCAT_(appsup_result_, __LINE__), lhs, __VA_ARGS__)
#define ASSIGN_OR_RETURN_INNER_(result, lhs, ...)      \
  auto result = (__VA_ARGS__);                         \
  if (!result.ok()) return std::move(result).status(); \
  lhs = std::move(result).value()
