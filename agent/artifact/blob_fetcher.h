#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace appsup::agent {

// Gets blobs that were pushed to the entry (LinkService.FetchBlob). Implemented by the link.
// Thread-safe: several workers call it at one time.
class BlobFetcher {
 public:
  struct Sink {
    std::function<void(int64_t size)> on_size;              // Of the whole blob; at most once.
    std::function<absl::Status(std::string_view)> on_data;  // In order; an error ends the fetch.
    std::function<bool()> cancelled;                        // To be asked at least once a second.
  };

  virtual ~BlobFetcher() = default;

  // Blocks its worker until all bytes from `offset` on were given to the sink. UNAVAILABLE where a
  // later try may help; it is then called again with the offset that was reached.
  virtual absl::Status FetchBlob(const std::string& sha256, int64_t offset, const Sink& sink) = 0;
};

}  // namespace appsup::agent
