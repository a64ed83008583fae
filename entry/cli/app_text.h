#pragma once

#include <string>

#include "absl/time/time.h"
#include "appsupervisor/v1/app.pb.h"
#include "entry/cli/manifest_words.h"
#include "entry/cli/text_table.h"
#include "fmt/format.h"

namespace appsup::cli {

// What is said of an app and its instances, in words. All pure.

// The word of an enum's value without its prefix: RUNNING; "-" for the one that says nothing.
template <class Enum>
std::string WordOf(Enum value) {
  if (value == Enum{}) return "-";
  const auto* descriptor = google::protobuf::GetEnumDescriptor<Enum>()->FindValueByNumber(value);
  return descriptor == nullptr ? fmt::format("{}", static_cast<int>(value))
                               : ShortWord(*descriptor);
}

Shade ShadeOf(appsupervisor::v1::AppState state);

// Where the app answers: "http://127.0.0.1:20001", of the port http or else the first; or "".
std::string UrlOf(const appsupervisor::v1::App& app);

// The sentence that says best why the app is not as it should be; empty if it is.
std::string ReasonOf(const appsupervisor::v1::App& app, absl::Time now);

// Lines on a failure: when, why, exit, the last lines of the log; each begins with `indent`.
std::string FailureText(const appsupervisor::v1::LastFailure& failure, absl::Time now,
                        const std::string& indent);
std::string ExitText(const appsupervisor::v1::Exit& exit);

}  // namespace appsup::cli
