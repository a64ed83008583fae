#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/secret.h"

// What a node proves itself with: the files that enrolment leaves in a folder, 0700.
namespace appsup::agent {

struct Identity {
  Secret key_pem;               // node.key
  std::string certificate_pem;  // node.crt
  std::string ca_pem;           // ca.crt: whom it trusts.
  std::string entry;            // entry: "HOST:PORT" that enrolled it.
};

// NOT_FOUND with the line to type if the node never enrolled; FAILED_PRECONDITION if the files do
// not fit each other.
absl::StatusOr<Identity> ReadIdentity(const std::string& dir);

// All files or none: `dir` is a symbolic link that is swapped. Older folders are removed.
absl::Status WriteIdentity(const std::string& dir, const Identity& identity);

// What the node's certificate says.
struct NodeName {
  std::string node;  // Id.
  std::string uid;
  absl::Time not_before;
  absl::Time not_after;
  std::string serial;
};
absl::StatusOr<NodeName> NodeOf(const Identity& identity);

// Reads the same folder again and again, and checks the files only when they have changed: parsing
// and verifying costs a hundred times what reading does. One thread.
class IdentityReader {
 public:
  struct Known {
    Identity identity;
    NodeName node;
  };

  explicit IdentityReader(std::string dir) : dir_(std::move(dir)) {}

  // As it is on disk now. Errors as ReadIdentity and NodeOf; the next call looks again.
  absl::StatusOr<std::shared_ptr<const Known>> Read();

 private:
  const std::string dir_;
  std::shared_ptr<const Known> known_;
};

}  // namespace appsup::agent
