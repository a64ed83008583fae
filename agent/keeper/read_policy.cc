#include "agent/keeper/read_policy.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/report.h"
#include "common/unique_fd.h"

namespace appsup::keeper {
namespace {

std::optional<Policy> Refuse(const std::string& what, int error) {
  Report("error", "config-not-read", {{"error", absl::StrCat(what, ": ", ErrnoText(error))}});
  return std::nullopt;
}

std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) all.append(buffer, static_cast<size_t>(n));
  }
  return all;
}

}  // namespace

std::optional<Policy> ReadPolicyByProgram(const std::string& file) {
  char self[PATH_MAX] = {};
  if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) return Refuse("own path", errno);
  std::string program = absl::StrCat(self, "-config");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Refuse("pipe", errno);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  char* arguments[] = {program.data(), const_cast<char*>(file.c_str()), nullptr};
  pid_t pid;
  int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Refuse(absl::StrCat("run ", program), error);
  writer.Reset();
  std::string text = ReadAll(reader.get());
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  pb::PolicyRecord record;
  if (status != 0) return std::nullopt;
  if (!record.ParseFromString(text)) return Refuse(absl::StrCat("answer of ", program), EPROTO);
  return FromRecord(record);
}

}  // namespace appsup::keeper
