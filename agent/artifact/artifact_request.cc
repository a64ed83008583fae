#include "agent/artifact/artifact_request.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "agent/artifact/artifact_cache.h"
#include "agent/artifact/artifact_error.h"
#include "common/digest.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::Artifact;
using appsupervisor::v1::UnpackMode;

constexpr size_t kDigestLength = 64;
constexpr size_t kInstallDigestLength = 16;
constexpr size_t kMaxUriBytes = 8192;
constexpr size_t kMaxFileNameBytes = 200;
constexpr std::string_view kBlobPrefix = "blobs/";
constexpr char kDefaultFileName[] = "artifact";

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return ('0' <= c && c <= '9') || ('a' <= c && c <= 'f'); });
}

bool IsDigest(std::string_view text) { return text.size() == kDigestLength && IsHex(text); }

int HexValue(char c) {
  if ('0' <= c && c <= '9') return c - '0';
  const int lower = std::tolower(static_cast<unsigned char>(c));
  return 'a' <= lower && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The last segment of the path, percent decoded, if it can be the name of a file.
std::string FileNameOf(const std::string& uri) {
  const std::string path = uri.substr(0, uri.find_first_of("?#"));
  const size_t authority = path.find("://");
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash < authority + 3) return kDefaultFileName;
  std::string name;
  for (size_t i = slash + 1; i < path.size(); ++i) {
    const int high = path[i] == '%' && i + 2 < path.size() ? HexValue(path[i + 1]) : -1;
    const int low = high >= 0 ? HexValue(path[i + 2]) : -1;
    if (low >= 0) {
      name += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      name += path[i];
    }
  }
  const bool odd = std::any_of(name.begin(), name.end(),
                               [](unsigned char c) { return c == '/' || std::iscntrl(c); });
  if (name.empty() || name == "." || name == ".." || odd || name.size() > kMaxFileNameBytes) {
    return kDefaultFileName;
  }
  return name;
}

bool HasScheme(const std::string& uri, std::string_view scheme) {
  return uri.size() > scheme.size() &&
         std::equal(scheme.begin(), scheme.end(), uri.begin(), [](char expected, char c) {
           return expected == std::tolower(static_cast<unsigned char>(c));
         });
}

absl::Status FillSource(const Artifact& artifact, ArtifactRequest& request) {
  request.sha256 = artifact.sha256();
  switch (artifact.source_case()) {
    case Artifact::kUri:
      request.uri = artifact.uri();
      request.file_name = FileNameOf(request.uri);
      if (!HasScheme(request.uri, "http://") && !HasScheme(request.uri, "https://") &&
          !HasScheme(request.uri, "file://")) {
        return InvalidArtifact("artifact.uri: \"" + request.Display() +
                               "\" is no http, https or file URI");
      }
      if (request.uri.size() > kMaxUriBytes) {
        return InvalidArtifact("artifact.uri: has more than " + std::to_string(kMaxUriBytes) +
                               " bytes");
      }
      return absl::OkStatus();
    case Artifact::kBlob: {
      const std::string& name = artifact.blob();
      const std::string digest = name.substr(std::min(name.size(), kBlobPrefix.size()));
      if (name.rfind(kBlobPrefix, 0) != 0 || !IsDigest(digest)) {
        return InvalidArtifact("artifact.blob: \"" + name + "\" is not blobs/{sha256}");
      }
      if (!request.sha256.empty() && request.sha256 != digest) {
        return InvalidArtifact("artifact.sha256: " + request.sha256 + " is not that of " + name);
      }
      request.blob = true;
      request.sha256 = digest;
      request.file_name = kDefaultFileName;
      return absl::OkStatus();
    }
    case Artifact::SOURCE_NOT_SET:
      break;
  }
  return InvalidArtifact("artifact: one of uri and blob must be set");
}

}  // namespace

std::string ArtifactRequest::Display() const {
  if (blob) return std::string(kBlobPrefix) + sha256;
  std::string shown = uri.substr(0, uri.find_first_of("?#"));
  const size_t scheme = shown.find("://");
  if (scheme == std::string::npos) return shown;
  const size_t path = shown.find('/', scheme + 3);
  const size_t at = shown.rfind('@', path);
  if (at != std::string::npos && at > scheme) shown.erase(scheme + 3, at + 1 - (scheme + 3));
  return shown;
}

std::string ArtifactRequest::TreeName(const std::string& digest) const {
  std::string name = digest;
  if (unpack == UnpackMode::UNPACK_MODE_NONE) name += "-file";
  if (install.empty()) return name;
  std::string words;
  for (const std::string& word : install) words += std::to_string(word.size()) + ":" + word;
  return name + "-" + Sha256Hex(words).substr(0, kInstallDigestLength);
}

std::string ArtifactRequest::JobKey() const {
  return TreeName(sha256) + (unpack == UnpackMode::UNPACK_MODE_ARCHIVE ? " archive " : " ") +
         (blob ? "" : uri);
}

absl::StatusOr<ArtifactRequest> CheckArtifact(const Artifact& artifact,
                                              const appsupervisor::v1::Install& install) {
  ArtifactRequest request;
  RETURN_IF_ERROR(FillSource(artifact, request));
  if (!request.sha256.empty() && !IsDigest(request.sha256)) {
    return InvalidArtifact("artifact.sha256: \"" + request.sha256 +
                           "\" is not 64 lower-case hex digits");
  }
  request.unpack = artifact.unpack();
  request.install.assign(install.command().begin(), install.command().end());
  request.install_timeout = ArtifactCache::kDefaultInstallTimeout;
  if (install.has_timeout()) {
    request.install_timeout =
        absl::Seconds(install.timeout().seconds()) + absl::Nanoseconds(install.timeout().nanos());
  }
  return request;
}

bool IsTreeName(const std::string& name) {
  if (name.size() < kDigestLength || !IsDigest(name.substr(0, kDigestLength))) return false;
  std::string rest = name.substr(kDigestLength);
  if (rest.rfind("-file", 0) == 0) rest.erase(0, 5);
  return rest.empty() || (rest.size() == kInstallDigestLength + 1 && rest[0] == '-' &&
                          IsHex(std::string_view(rest).substr(1)));
}

}  // namespace appsup::agent
