#include "agent/keeper/warden_process.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/report.h"
#include "common/unique_fd.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int kAgainMillis = 10;
// A process that does not die within this time waits for a disk, and dies when that answers.
constexpr int64_t kLastPatienceNanos = 10 * kNanosPerSecond;
// A group's name has at most 90 bytes.
constexpr size_t kMaxPacket = kMovesPerPacket * 128;

// False: the keeper is gone.
bool Receive(int socket, FencedGroups& guarded) {
  std::string packet(kMaxPacket, '\0');
  while (true) {
    ssize_t n = recv(socket, packet.data(), packet.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false;
    internal::ApplyMoves({packet.data(), static_cast<size_t>(n)}, guarded);
  }
}

// Usually the keeper comes first and nothing is left to kill. Whatever survives is killed again.
void KillDue(FencedGroups& guarded, Cgroups& groups) {
  const int64_t now = BootNanos();
  for (auto& [group, deadline] : guarded) {
    if (deadline > now) continue;
    groups.Kill(group);
    deadline = now + kNanosPerSecond;
  }
}

void Arm(int timer, const FencedGroups& guarded) {
  int64_t first = 0;  // Never.
  for (const auto& [group, deadline] : guarded) {
    if (first == 0 || deadline < first) first = deadline;
  }
  itimerspec setting = {};
  setting.it_value = {first / kNanosPerSecond, first % kNanosPerSecond};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, nullptr);
}

void KillAll(const FencedGroups& guarded, Cgroups& groups) {
  if (guarded.empty()) return;
  Report("warning", "keeper-gone", {{"fenced", absl::StrCat(guarded.size())}});
  const int64_t begin = BootNanos();
  for (const auto& [group, deadline] : guarded) groups.Kill(group);
  for (const auto& [group, deadline] : guarded) {
    UniqueFd events = groups.OpenEvents(group);
    pollfd watched = {events.get(), POLLPRI, 0};
    while (events.valid() && Cgroups::Populated(events.get()) &&
           BootNanos() - begin < kLastPatienceNanos) {
      groups.Kill(group);
      poll(&watched, 1, kAgainMillis);
    }
  }
}

}  // namespace

void RunWarden(int socket, FencedGroups guarded, Cgroups& groups) {
  prctl(PR_SET_NAME, "appsup-warden", 0, 0, 0);
  setsid();  // A signal to the keeper's group of processes is not for us.
  int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  pollfd watched[] = {{socket, POLLIN, 0}, {timer, POLLIN, 0}};
  while (true) {
    Arm(timer, guarded);
    if (poll(watched, timer < 0 ? 1 : 2, -1) < 0 && errno != EINTR) break;
    if (!Receive(socket, guarded)) break;
    KillDue(guarded, groups);
  }
  KillAll(guarded, groups);
}

}  // namespace appsup::keeper
