#pragma once

#include <string>

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace appsup::cli {

absl::Time TimeOf(const google::protobuf::Timestamp& timestamp);

// How long ago, in one or two units: "4s", "3m20s", "5h", "12d". "0s" for the future.
std::string AgeText(absl::Time now, absl::Time then);
std::string AgeText(absl::Time now, const google::protobuf::Timestamp& then);  // "-" if unset.

// "2026-01-31T12:00:00Z", in UTC.
std::string TimeText(const google::protobuf::Timestamp& timestamp);

// "512 MiB", with at most one decimal; for people, unlike FormatBytes, which is exact.
std::string SizeText(int64_t bytes);

}  // namespace appsup::cli
