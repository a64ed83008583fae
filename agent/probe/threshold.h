#pragma once

#include <algorithm>

namespace appsup::agent {

struct ThresholdOptions {
  int success = 1;       // Successes in a row that make it pass.
  int failure = 3;       // Failures in a row that make it fail.
  bool passing = false;  // The verdict to begin with, instead of none.
};

// Turns single results of a check into a verdict that does not flicker. Pure; header only, so that
// the core may use it too.
class Threshold {
 public:
  enum class Verdict { kUndecided, kPassing, kFailing };

  explicit Threshold(ThresholdOptions options)
      : options_(options), verdict_(options.passing ? Verdict::kPassing : Verdict::kUndecided) {}

  // Counts one result; true if the verdict changed by it. A verdict holds until as many results in
  // a row as its opposite needs have spoken against it.
  bool Add(bool success) {
    if (success != last_success_) in_a_row_ = 0;
    last_success_ = success;
    const int needed = std::max(1, success ? options_.success : options_.failure);
    in_a_row_ = std::min(in_a_row_ + 1, needed);
    const Verdict reached = success ? Verdict::kPassing : Verdict::kFailing;
    if (in_a_row_ < needed || verdict_ == reached) return false;
    verdict_ = reached;
    return true;
  }

  Verdict verdict() const { return verdict_; }
  bool passing() const { return verdict_ == Verdict::kPassing; }

 private:
  ThresholdOptions options_;
  bool last_success_ = false;
  int in_a_row_ = 0;
  Verdict verdict_;
};

}  // namespace appsup::agent
