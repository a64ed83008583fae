#include "agent/keeper/upgrade.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/report.h"
#include "agent/keeper/state_file.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kCheckNanos = 5'000'000'000;
constexpr size_t kMaxSaid = 4096;

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// As a program that was started by hand: no signal blocked or ignored.
void ResetSignals(posix_spawnattr_t* attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &all);
  posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

}  // namespace

Upgrade::Upgrade(Poller& poller, std::vector<std::string> command, Host host)
    : poller_(poller), command_(std::move(command)), host_(std::move(host)) {}

void Upgrade::Begin() {
  if (check_ != 0) {
    again_ = true;
    return;
  }
  settling_ = again_ = timed_out_ = false;
  Report("info", "upgrade-begins", {{"program", command_[0]}});
  if (absl::Status s = StartCheck(); !s.ok()) Refused(std::string(s.message()));
}

void Upgrade::Refused(const std::string& why) {
  Report("error", "upgrade-refused", {{"program", command_[0]}, {"error", why}});
}

absl::Status Upgrade::StartCheck() {
  auto state = WriteState(host_.state());
  if (!state.ok()) return state.status();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return SystemError(errno, "make a pipe");
  said_ = UniqueFd(ends[0]);
  UniqueFd theirs(ends[1]);
  std::vector<std::string> words = command_;
  words.insert(words.end(), {"--check-state", absl::StrCat(state->get())});
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, state->get(), state->get());  // Kept by the exec.
  posix_spawn_file_actions_adddup2(&files, theirs.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  ResetSignals(&attributes);
  int error = posix_spawn(&check_, command_[0].c_str(), &files, &attributes, Pointers(words).data(),
                          environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    check_ = 0;
    return SystemError(error, absl::StrCat("run ", command_[0]));
  }
  timeout_ = poller_.At(BootNanos() + kCheckNanos, [this] {
    timeout_ = {};
    timed_out_ = true;
    kill(check_, SIGKILL);  // Not reaped yet, so it is still the one meant.
  });
  return absl::OkStatus();
}

// In one line, without the end of the last one.
std::string Upgrade::Said() {
  std::string text(kMaxSaid, '\0');
  ssize_t n = read(said_.get(), text.data(), text.size());
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool Upgrade::Reaped(pid_t pid, bool ended_well) {
  if (check_ == 0 || pid != check_) return false;
  check_ = 0;
  poller_.Cancel(std::exchange(timeout_, {}));
  std::string said = Said();
  said_.Reset();
  if (again_) {
    Begin();
  } else if (ended_well) {
    settling_ = true;
    Continue();
  } else if (timed_out_) {
    Refused(
        absl::StrCat("--check-state gave no answer within ", kCheckNanos / 1'000'000'000, " s"));
  } else {
    Refused(said.empty() ? "--check-state failed without a word" : said);
  }
  return true;
}

void Upgrade::Continue() {
  if (!settling_ || !host_.settled()) return;
  settling_ = false;
  Refused(std::string(Exec().message()));
}

// Returns only if it failed.
absl::Status Upgrade::Exec() {
  pb::KeeperState carried = host_.state();
  auto state = WriteState(carried);
  if (!state.ok()) return state.status();
  std::vector<int> fds = CarriedFds(carried);
  fds.push_back(state->get());
  std::vector<std::string> words = command_;
  words.insert(words.end(), {"--take-state", absl::StrCat(state->get())});
  SetCarried(fds, true);
  execv(command_[0].c_str(), Pointers(words).data());
  int error = errno;
  SetCarried(fds, false);
  return SystemError(error, absl::StrCat("run ", command_[0]));
}

}  // namespace appsup::keeper
