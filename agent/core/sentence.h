#pragma once

#include <string>

#include "absl/time/time.h"
#include "agent/core/process.h"
#include "appsupervisor/v1/app.pb.h"
#include "google/protobuf/timestamp.pb.h"

// Small translations between times, exits and what people read. Pure.
namespace appsup::agent {

google::protobuf::Timestamp ToProto(absl::Time time);

appsupervisor::v1::Exit ToProto(const ProcessExit& exit);

bool Succeeded(const appsupervisor::v1::Exit& exit);

// "exited with code 3", "was ended by SIGKILL", "was killed for memory", "ended; its exit code is
// unknown".
std::string ExitSentence(const appsupervisor::v1::Exit& exit);

// "12:00:05 UTC".
std::string ClockTime(absl::Time time);

// Number of "SIGTERM", "TERM", "term" or "15"; 0 if there is no such signal; 15 for "".
int SignalNumber(const std::string& name);
// "SIGTERM"; "signal 64" where it has no name.
std::string SignalName(int number);

}  // namespace appsup::agent
