#include "tests/fuzz/steps.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/log.h"

namespace appsup::fuzz {
namespace {

constexpr size_t kHead = 3;  // Kind and length.

}  // namespace

std::vector<Step> ReadSteps(const uint8_t* data, size_t size) {
  std::vector<Step> steps;
  while (size >= kHead && steps.size() < kMaxSteps) {
    const size_t said = data[1] | static_cast<size_t>(data[2]) << 8;
    const size_t length = std::min(said, size - kHead);
    steps.push_back({data[0], std::string(reinterpret_cast<const char*>(data) + kHead, length)});
    data += kHead + length;
    size -= kHead + length;
  }
  return steps;
}

std::string WriteSteps(const std::vector<Step>& steps) {
  std::string bytes;
  for (const Step& step : steps) {
    const size_t length = std::min(step.body.size(), kMaxBody);
    bytes += static_cast<char>(step.kind);
    bytes += static_cast<char>(length & 0xff);
    bytes += static_cast<char>(length >> 8);
    bytes.append(step.body, 0, length);
  }
  return bytes;
}

void Expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

void Expect(const absl::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "broken promise: %s: %s\n", what, status.ToString().c_str());
  std::abort();
}

void SilenceLog() {
  LogOptions options;
  options.level = LogLevel::kError;
  Expect(InitLog(options), "the log opens");
}

}  // namespace appsup::fuzz
