#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/status.h"

namespace appsup::entry {

// Collects everything that is wrong with a request, so that the caller learns all of it at once.
class Violations {
 public:
  // `field` as in the request: "app.spec.ports[0].name". `rule`: what it must be, with the value.
  void Add(std::string field, std::string rule) {
    found_.push_back({std::move(field), std::move(rule)});
  }

  // The violations of an error that another check made. OK adds nothing.
  void Add(const absl::Status& status);

  bool empty() const { return found_.empty(); }
  const std::vector<FieldViolation>& found() const { return found_; }

  // OK if there are none; else INVALID_ARGUMENT that names all of them.
  absl::Status ToStatus() const;

 private:
  std::vector<FieldViolation> found_;
};

// What a stranger typed, quoted and cut for a message.
std::string Quoted(const std::string& text);

}  // namespace appsup::entry
