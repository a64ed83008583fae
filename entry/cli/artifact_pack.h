#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace appsup::cli {

// A file whose bytes can be pushed. What it made itself it removes with it.
class PackedArtifact {
 public:
  // A file is taken as it is. A folder becomes a .tar.gz whose paths begin in it; the same content
  // gives the same bytes, so that pushing it twice stores it once. NOT_FOUND, or what the system
  // said.
  static absl::StatusOr<PackedArtifact> Of(const std::string& path);

  ~PackedArtifact();
  PackedArtifact(PackedArtifact&& other) noexcept;
  PackedArtifact& operator=(PackedArtifact&&) = delete;

  const std::string& path() const { return path_; }
  const std::string& sha256() const { return sha256_; }
  std::string blob_name() const { return "blobs/" + sha256_; }

 private:
  PackedArtifact(std::string path, bool own) : path_(std::move(path)), own_(own) {}

  std::string path_;
  bool own_;
  std::string sha256_;
};

}  // namespace appsup::cli
