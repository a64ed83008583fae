#include "agent/core/sentence.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace appsup::agent {
namespace {

constexpr int kLastSignal = 64;
constexpr std::array<std::pair<const char*, int>, 31> kSignals = {{
    {"HUP", SIGHUP},   {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"ILL", SIGILL},
    {"TRAP", SIGTRAP}, {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},
    {"KILL", SIGKILL}, {"USR1", SIGUSR1},     {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},     {"TERM", SIGTERM}, {"STKFLT", SIGSTKFLT},
    {"CHLD", SIGCHLD}, {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},
    {"POLL", SIGPOLL}, {"PWR", SIGPWR},       {"SYS", SIGSYS},
}};

}  // namespace

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp proto;
  proto.set_seconds(absl::ToUnixSeconds(time));
  proto.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(proto.seconds()))));
  return proto;
}

appsupervisor::v1::Exit ToProto(const ProcessExit& exit) {
  appsupervisor::v1::Exit proto;
  proto.set_code(exit.code);
  proto.set_signal(exit.signal);
  proto.set_out_of_memory(exit.out_of_memory);
  proto.set_unknown(exit.unknown);
  *proto.mutable_time() = ToProto(exit.time);
  return proto;
}

bool Succeeded(const appsupervisor::v1::Exit& exit) {
  return exit.code() == 0 && exit.signal() == 0 && !exit.unknown() && !exit.out_of_memory();
}

std::string ExitSentence(const appsupervisor::v1::Exit& exit) {
  if (exit.unknown()) return "ended; its exit code is unknown";
  if (exit.out_of_memory()) return "was killed by the kernel for memory";
  if (exit.signal() != 0) return absl::StrCat("was ended by ", SignalName(exit.signal()));
  return absl::StrCat("exited with code ", exit.code());
}

std::string ClockTime(absl::Time time) {
  return absl::FormatTime("%H:%M:%S UTC", time, absl::UTCTimeZone());
}

int SignalNumber(const std::string& name) {
  if (name.empty()) return SIGTERM;
  if (int number; absl::SimpleAtoi(name, &number)) {
    return number >= 1 && number <= kLastSignal ? number : 0;
  }
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (upper.starts_with("SIG")) upper.erase(0, 3);
  for (const auto& [word, number] : kSignals) {
    if (upper == word) return number;
  }
  return 0;
}

std::string SignalName(int number) {
  for (const auto& [word, value] : kSignals) {
    if (value == number) return absl::StrCat("SIG", word);
  }
  return absl::StrCat("signal ", number);
}

}  // namespace appsup::agent
