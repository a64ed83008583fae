#include "common/text_units.h"

#include <charconv>
#include <limits>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace appsup {
namespace {

// A number without sign as an exact fraction: digits / 10^decimals.
struct Decimal {
  int64_t digits = 0;
  int decimals = 0;
};

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr int kMaxDecimals = 9;
constexpr int64_t kKibi = 1024;

constexpr Unit kDurationUnits[] = {
    {"d", 86'400'000'000'000},
    {"h", 3'600'000'000'000},
    {"m", 60'000'000'000},
    {"s", 1'000'000'000},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
};

constexpr Unit kByteUnits[] = {
    {"", 1},
    {"B", 1},
    {"K", 1'000},
    {"KB", 1'000},
    {"k", 1'000},
    {"kB", 1'000},
    {"M", 1'000'000},
    {"MB", 1'000'000},
    {"G", 1'000'000'000},
    {"GB", 1'000'000'000},
    {"T", 1'000'000'000'000},
    {"TB", 1'000'000'000'000},
    {"P", 1'000'000'000'000'000},
    {"PB", 1'000'000'000'000'000},
    {"Ki", kKibi},
    {"KiB", kKibi},
    {"Mi", kKibi* kKibi},
    {"MiB", kKibi* kKibi},
    {"Gi", kKibi* kKibi* kKibi},
    {"GiB", kKibi* kKibi* kKibi},
    {"Ti", kKibi* kKibi* kKibi* kKibi},
    {"TiB", kKibi* kKibi* kKibi* kKibi},
    {"Pi", kKibi* kKibi* kKibi* kKibi* kKibi},
    {"PiB", kKibi* kKibi* kKibi* kKibi* kKibi},
};

constexpr Unit kPrintedByteUnits[] = {
    {"PiB", kKibi* kKibi* kKibi* kKibi* kKibi},
    {"TiB", kKibi* kKibi* kKibi* kKibi},
    {"GiB", kKibi* kKibi* kKibi},
    {"MiB", kKibi* kKibi},
    {"KiB", kKibi},
};

constexpr Unit kCpuUnits[] = {{"", 1'000}, {"m", 1}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view TakeWhile(std::string_view* rest, bool (*wanted)(char)) {
  size_t length = 0;
  while (length < rest->size() && wanted((*rest)[length])) ++length;
  std::string_view taken = rest->substr(0, length);
  rest->remove_prefix(length);
  return taken;
}

std::optional<Decimal> TakeDecimal(std::string_view* rest) {
  std::string digits(TakeWhile(rest, IsDigit));
  if (digits.empty()) return std::nullopt;
  Decimal decimal;
  if (!rest->empty() && rest->front() == '.') {
    rest->remove_prefix(1);
    std::string_view fraction = TakeWhile(rest, IsDigit);
    if (fraction.empty() || fraction.size() > kMaxDecimals) return std::nullopt;
    digits += fraction;
    decimal.decimals = static_cast<int>(fraction.size());
  }
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), decimal.digits);
  if (error != std::errc()) return std::nullopt;
  return decimal;
}

// decimal * unit, if that is a whole number that fits.
std::optional<int64_t> TakeQuantity(std::string_view* rest, std::span<const Unit> units) {
  std::optional<Decimal> decimal = TakeDecimal(rest);
  if (!decimal.has_value()) return std::nullopt;
  std::string_view name = TakeWhile(rest, [](char c) { return !IsDigit(c) && c != '.'; });
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    __extension__ __int128 product = __int128{decimal->digits} * unit.factor;
    for (int i = 0; i < decimal->decimals; ++i) {
      if (product % 10 != 0) return std::nullopt;
      product /= 10;
    }
    if (product > std::numeric_limits<int64_t>::max()) return std::nullopt;
    return static_cast<int64_t>(product);
  }
  return std::nullopt;
}

absl::Status Refused(std::string_view what, std::string_view text, std::string_view allowed) {
  constexpr size_t kMaxShown = 64;
  return absl::InvalidArgumentError(
      fmt::format("\"{}\" is not {}; allowed: {}", text.substr(0, kMaxShown), what, allowed));
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  const absl::Status refused = Refused(
      "a duration", text, "\"250ms\", \"1.5s\", \"1h30m\", \"7d\" (units d h m s ms us ns)");
  if (text.empty()) return refused;
  if (text == "0") return absl::ZeroDuration();
  absl::Duration sum;
  for (std::string_view rest = text; !rest.empty();) {
    std::optional<int64_t> nanoseconds = TakeQuantity(&rest, kDurationUnits);
    if (!nanoseconds.has_value()) return refused;
    sum += absl::Nanoseconds(*nanoseconds);
  }
  return sum;
}

absl::StatusOr<int64_t> ParseBytes(std::string_view text) {
  std::string_view rest = text;
  std::optional<int64_t> bytes = TakeQuantity(&rest, kByteUnits);
  if (bytes.has_value() && rest.empty()) return *bytes;
  return Refused("a size in bytes", text,
                 "\"4096\", \"512Mi\", \"50MiB\", \"1G\" (K M G T P by 1000, Ki Mi Gi Ti Pi by "
                 "1024, with or without B; whole bytes)");
}

std::string FormatBytes(int64_t bytes) {
  for (const Unit& unit : kPrintedByteUnits) {
    if (bytes != 0 && bytes % unit.factor == 0) {
      return fmt::format("{}{}", bytes / unit.factor, unit.name);
    }
  }
  return fmt::format("{}B", bytes);
}

absl::StatusOr<int64_t> ParseCpu(std::string_view text) {
  std::string_view rest = text;
  std::optional<int64_t> millis = TakeQuantity(&rest, kCpuUnits);
  if (millis.has_value() && rest.empty()) return *millis;
  return Refused("an amount of CPU", text,
                 "\"2\", \"0.5\", \"500m\" (cores, or thousandths of a core; whole thousandths)");
}

std::string FormatCpu(int64_t millis) {
  if (millis % 1'000 == 0) return std::to_string(millis / 1'000);
  return fmt::format("{}m", millis);
}

}  // namespace appsup
