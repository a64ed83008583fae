#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "entry/core/catalog.h"

namespace appsup::entry {

// Opaque texts that only this catalog can have made: page tokens and resume tokens. They hide
// nothing and authorise nothing; the seal only finds foreign and broken ones.

// `purpose`: "page", "watch". Url-safe characters.
std::string SealToken(const Catalog& catalog, const std::string& purpose,
                      const std::string& payload);

// Nothing if the token was not made by SealToken for this catalog and purpose.
std::optional<std::string> OpenToken(const Catalog& catalog, const std::string& purpose,
                                     const std::string& token);

// A place in the change log: resumes after `index`.
std::string ResumeToken(const Catalog& catalog, int64_t index);

// The index. OUT_OF_RANGE if it is on a history that is not ours or older than the change log (the
// metadata then holds oldest_resume_token), INVALID_ARGUMENT if it is no token of this catalog.
absl::StatusOr<int64_t> ReadResumeToken(const Catalog& catalog, const std::string& token);

// Why a watcher cannot go on after `index`.
absl::Status TooOld(const Catalog& catalog, int64_t index);

}  // namespace appsup::entry
