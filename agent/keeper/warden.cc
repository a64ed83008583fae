#include "agent/keeper/warden.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/report.h"
#include "agent/keeper/spawn.h"
#include "agent/keeper/warden_process.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kRetryNanos = 100'000'000;

}  // namespace

namespace internal {

std::string EncodeMoves(const FenceMove* begin, const FenceMove* end) {
  std::string packet;
  for (const FenceMove* move = begin; move != end; ++move) {
    packet.append(reinterpret_cast<const char*>(&move->second), sizeof(move->second));
    packet.push_back(static_cast<char>(move->first.size()));
    packet += move->first;
  }
  return packet;
}

void ApplyMoves(std::string_view packet, FencedGroups& groups) {
  constexpr size_t kHead = sizeof(int64_t) + 1;
  while (packet.size() >= kHead) {
    int64_t deadline;
    memcpy(&deadline, packet.data(), sizeof(deadline));
    std::string group(packet.substr(kHead, static_cast<unsigned char>(packet[kHead - 1])));
    packet.remove_prefix(std::min(packet.size(), kHead + group.size()));
    if (deadline == 0) {
      groups.erase(group);
    } else {
      groups[std::move(group)] = deadline;
    }
  }
}

}  // namespace internal

absl::Status Warden::Move(const std::vector<FenceMove>& moves) {
  for (const auto& [group, deadline] : moves) {
    if (deadline == 0) {
      held_.erase(group);
    } else {
      held_[group] = deadline;
    }
  }
  // One that cannot be told is of no use.
  fit_ = fit_ && Send(moves).ok();
  return fit_ ? absl::OkStatus() : Start();
}

void Warden::Forget(const std::string& group) {
  // What could not be done is reported, and tried again.
  Move({{group, 0}}).IgnoreError();
}

absl::Status Warden::Send(const std::vector<FenceMove>& moves) {
  for (size_t begin = 0; begin < moves.size(); begin += kMovesPerPacket) {
    size_t end = std::min(moves.size(), begin + kMovesPerPacket);
    std::string packet = internal::EncodeMoves(moves.data() + begin, moves.data() + end);
    if (send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
      return SystemError(errno, "tell the warden");
    }
  }
  return absl::OkStatus();
}

// The new one is there before the old one goes.
absl::Status Warden::Start() {
  if (held_.empty()) return absl::OkStatus();
  auto forked = ForkTask([this](int socket) { RunWarden(socket, std::move(held_), groups_); });
  if (!forked.ok()) {
    Report("error", "warden-not-started", {{"error", std::string(forked.status().message())}});
    if (retry_ == Poller::TimerId()) {
      retry_ = poller_.At(BootNanos() + kRetryNanos, [this] { Retry(); });
    }
    return forked.status();
  }
  if (pid_ != 0) kill(pid_, SIGKILL);  // Our child, so the number is still its own.
  pid_ = forked->pid;
  socket_ = std::move(forked->gate);
  fit_ = true;
  started_ = BootNanos();
  return absl::OkStatus();
}

void Warden::Retry() {
  retry_ = {};
  if (!fit_) Start().IgnoreError();  // Reported, and tried again.
}

bool Warden::Reaped(pid_t pid) {
  if (pid_ == 0 || pid != pid_) return false;
  pid_ = 0;
  fit_ = false;
  socket_.Reset();
  if (held_.empty()) return true;
  Report("warning", "warden-lost", {{"fenced", absl::StrCat(held_.size())}});
  if (BootNanos() - started_ >= kRetryNanos) {
    Retry();
  } else if (retry_ == Poller::TimerId()) {
    retry_ = poller_.At(BootNanos() + kRetryNanos, [this] { Retry(); });
  }
  return true;
}

void Warden::TakeOver(pid_t pid, UniqueFd socket, FencedGroups held) {
  pid_ = pid;
  socket_ = std::move(socket);
  held_ = std::move(held);
  if (!held_.empty()) return Retry();
  if (pid_ != 0) kill(pid_, SIGKILL);
  pid_ = 0;
  socket_.Reset();
}

}  // namespace appsup::keeper
