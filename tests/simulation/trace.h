#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace appsup::simulation {

// What happened, in order: always as one number, so that two runs can be compared, and as readable
// lines if they are wanted. One thread.
class Trace {
 public:
  explicit Trace(bool keeps_lines) : keeps_lines_(keeps_lines) {}

  // `content` is only asked for when lines are kept; `key` goes into the hash in its place, so it
  // must say the same in each run of a seed.
  template <class Content>
  void Add(absl::Duration at, std::string_view who, std::string_view what, std::string_view key,
           Content content) {
    Mix(static_cast<uint64_t>(absl::ToInt64Nanoseconds(at)));
    Mix(who);
    Mix(what);
    Mix(key);
    ++events_;
    if (keeps_lines_) AddLine(at, who, what, content());
  }

  uint64_t hash() const { return hash_; }
  uint64_t events() const { return events_; }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void Mix(uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }
  void Mix(std::string_view text);
  void AddLine(absl::Duration at, std::string_view who, std::string_view what,
               const std::string& content);

  const bool keeps_lines_;
  uint64_t hash_ = 0xcbf29ce484222325u;
  uint64_t events_ = 0;
  std::vector<std::string> lines_;
};

// "1:02.345678".
std::string FormatTime(absl::Duration at);

}  // namespace appsup::simulation
