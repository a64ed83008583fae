#include "entry/core/resource_change.h"

#include <cctype>

#include "common/status.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

// "AppRevision" → "APP_REVISION".
std::string Upper(const std::string& kind) {
  std::string upper;
  for (char c : kind) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !upper.empty()) upper += '_';
    upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return upper;
}

}  // namespace

std::string NewEtag(CallContext& context) { return fmt::format("\"{:016x}\"", context.ids.Next()); }

absl::Status CheckEtag(const std::string& given, const std::string& actual,
                       const std::string& name) {
  if (given.empty() || given == actual) return absl::OkStatus();
  return MakeError(absl::StatusCode::kAborted, "ETAG_MISMATCH",
                   fmt::format("{} was changed since etag {} was read; read it again and repeat "
                               "the change, or leave the etag out",
                               name, given.substr(0, 64)),
                   {{"name", name}, {"etag", given.substr(0, 64)}, {"current_etag", actual}});
}

absl::Status NotFound(const std::string& kind, const std::string& name) {
  return MakeError(absl::StatusCode::kNotFound, Upper(kind) + "_NOT_FOUND",
                   fmt::format("There is no {}; List{}s shows those that there are", name, kind),
                   {{"name", name}});
}

absl::Status AlreadyExists(const std::string& name, const std::string& advice) {
  return MakeError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS",
                   fmt::format("{} already exists; {}", name, advice), {{"name", name}});
}

absl::Status WrongState(const std::string& reason, const std::string& name,
                        const std::string& sentence) {
  return MakeError(absl::StatusCode::kFailedPrecondition, reason,
                   fmt::format("{} {}", name, sentence), {{"name", name}});
}

}  // namespace appsup::entry
