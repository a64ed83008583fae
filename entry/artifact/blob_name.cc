#include "entry/artifact/blob_name.h"

#include <algorithm>

#include "common/status.h"

namespace appsup::entry {
namespace {

constexpr char kPrefix[] = "blobs/";
constexpr size_t kDigestLength = 64;

bool IsDigest(const std::string& text) {
  return text.size() == kDigestLength && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

std::string BlobName(const std::string& sha256) { return kPrefix + sha256; }

absl::StatusOr<std::string> ParseBlobName(const std::string& field, const std::string& name) {
  const size_t start = sizeof(kPrefix) - 1;
  if (name.compare(0, start, kPrefix) == 0 && IsDigest(name.substr(start))) {
    return name.substr(start);
  }
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_NAME",
                   field + " \"" + name + "\" must look like blobs/{sha256}",
                   {{"field", field}, {"name", name}},
                   {{field, "must be blobs/ and 64 lower-case hex digits"}});
}

}  // namespace appsup::entry
