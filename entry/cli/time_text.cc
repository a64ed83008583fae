#include "entry/cli/time_text.h"

#include <algorithm>
#include <iterator>

#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr int64_t kMinute = 60;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;

// `small` is left out where it is nothing or does not matter any more.
std::string InUnits(int64_t large, const char* large_unit, int64_t small, const char* small_unit,
                    int64_t small_matters_below) {
  if (small == 0 || large >= small_matters_below) return fmt::format("{}{}", large, large_unit);
  return fmt::format("{}{}{}{}", large, large_unit, small, small_unit);
}

}  // namespace

absl::Time TimeOf(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

std::string AgeText(absl::Time now, absl::Time then) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(now - then));
  if (seconds < 2 * kMinute) return fmt::format("{}s", seconds);
  if (seconds < 2 * kHour) {
    return InUnits(seconds / kMinute, "m", seconds % kMinute, "s", 10);
  }
  if (seconds < 2 * kDay) return InUnits(seconds / kHour, "h", seconds % kHour / kMinute, "m", 10);
  return InUnits(seconds / kDay, "d", seconds % kDay / kHour, "h", 10);
}

std::string AgeText(absl::Time now, const google::protobuf::Timestamp& then) {
  if (then.seconds() == 0 && then.nanos() == 0) return "-";
  return AgeText(now, TimeOf(then));
}

std::string TimeText(const google::protobuf::Timestamp& timestamp) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", TimeOf(timestamp), absl::UTCTimeZone());
}

std::string SizeText(int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto amount = static_cast<double>(bytes);
  size_t unit = 0;
  while (amount >= 1024 && unit + 1 < std::size(kUnits)) {
    amount /= 1024;
    ++unit;
  }
  const bool whole = unit == 0 || amount >= 100 || amount == static_cast<int64_t>(amount);
  return whole ? fmt::format("{:.0f} {}", amount, kUnits[unit])
               : fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

}  // namespace appsup::cli
