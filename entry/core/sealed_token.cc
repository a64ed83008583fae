#include "entry/core/sealed_token.h"

#include <algorithm>
#include <charconv>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "common/digest.h"
#include "common/status.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr size_t kSealLength = 16;

const rec::CatalogRecord& Meta(const Catalog& catalog) {
  static const auto& none = *new rec::CatalogRecord();
  const rec::CatalogRecord* meta = catalog.meta.Find(Catalog::kMetaKey);
  return meta == nullptr ? none : *meta;
}

std::string Seal(const Catalog& catalog, const std::string& purpose, const std::string& payload) {
  const rec::CatalogRecord& meta = Meta(catalog);
  return Sha256Hex(fmt::format("{}|{}|{}|{}", meta.seed(), meta.catalog_uid(), purpose, payload))
      .substr(0, kSealLength);
}

absl::Status Malformed() {
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_ARGUMENT",
                   "resume_token: is not a token of this catalog; watch without a token to begin "
                   "with a snapshot",
                   {}, {{"resume_token", "is not a token of this catalog"}});
}

// True if `index` was written, or begun upon, by the timeline at this place of the history.
bool OnHistory(const Catalog& catalog, const std::string& timeline, int64_t index) {
  const auto& timelines = Meta(catalog).timelines();
  for (int at = 0; at < timelines.size(); ++at) {
    if (timelines[at].id() != timeline) continue;
    const bool last = at + 1 == timelines.size();
    return index <= (last ? catalog.last_index() : timelines[at + 1].first_index() - 1);
  }
  return false;
}

}  // namespace

std::string SealToken(const Catalog& catalog, const std::string& purpose,
                      const std::string& payload) {
  return absl::WebSafeBase64Escape(Seal(catalog, purpose, payload) + payload);
}

std::optional<std::string> OpenToken(const Catalog& catalog, const std::string& purpose,
                                     const std::string& token) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(token, &bytes) || bytes.size() < kSealLength) {
    return std::nullopt;
  }
  const std::string payload = bytes.substr(kSealLength);
  if (bytes.substr(0, kSealLength) != Seal(catalog, purpose, payload)) return std::nullopt;
  return payload;
}

std::string ResumeToken(const Catalog& catalog, int64_t index) {
  const auto& timelines = Meta(catalog).timelines();
  const std::string timeline = timelines.empty() ? "" : timelines[timelines.size() - 1].id();
  return SealToken(catalog, "watch", fmt::format("{}/{}", index, timeline));
}

absl::StatusOr<int64_t> ReadResumeToken(const Catalog& catalog, const std::string& token) {
  std::optional<std::string> payload = OpenToken(catalog, "watch", token);
  if (!payload.has_value()) return Malformed();
  int64_t index = 0;
  const char* const last = payload->data() + payload->size();
  auto [end, error] = std::from_chars(payload->data(), last, index);
  if (error != std::errc() || end == last || *end != '/') return Malformed();
  if (!OnHistory(catalog, payload->substr(payload->find('/') + 1), index)) {
    return TooOld(catalog, index);
  }
  if (index + 1 < Meta(catalog).oldest_index()) return TooOld(catalog, index);
  return index;
}

absl::Status TooOld(const Catalog& catalog, int64_t index) {
  const int64_t oldest = std::max<int64_t>(Meta(catalog).oldest_index(), 1) - 1;
  return MakeError(
      absl::StatusCode::kOutOfRange, "RESUME_TOKEN_TOO_OLD",
      fmt::format("resume_token: changes after index {} are no longer kept, or belong to another "
                  "history of this catalog; watch without a token to begin with a snapshot",
                  index),
      {{"index", std::to_string(index)}, {"oldest_resume_token", ResumeToken(catalog, oldest)}});
}

}  // namespace appsup::entry
