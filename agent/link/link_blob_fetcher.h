#pragma once

#include <memory>
#include <string>

#include "agent/artifact/blob_fetcher.h"

namespace appsup::agent {

// Fetches over a connection of its own, so that a large blob never stands in the way of the link.
// The connection is kept while blobs are fetched and made anew after an error. Thread-safe.
class LinkBlobFetcher : public BlobFetcher {
 public:
  // `entry`: "HOST:PORT"; empty: the one in the identity. `identity_dir`: see identity.h.
  LinkBlobFetcher(std::string entry, std::string identity_dir);
  ~LinkBlobFetcher() override;

  absl::Status FetchBlob(const std::string& sha256, int64_t offset, const Sink& sink) override;

 private:
  class Channels;
  std::unique_ptr<Channels> channels_;
};

}  // namespace appsup::agent
