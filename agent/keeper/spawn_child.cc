#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/folder.h"
#include "agent/keeper/spawn.h"

namespace appsup::keeper {
namespace {

constexpr mode_t kUmask = 027;
constexpr char kDefaultPath[] = "/usr/local/bin:/usr/bin:/bin";

rlimit g_file_limit;  // As the keeper was started with: what children get.
bool g_file_limit_known = false;

void ResetSignals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < SIGRTMAX; ++signal) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Standard streams, and nothing else but the gate, which is closed by exec.
absl::Status ArrangeFiles(const SpawnPlan& plan, int* gate) {
  if (dup2(plan.stdin_fd, 0) < 0 || dup2(plan.stdout_fd, 1) < 0 || dup2(plan.stderr_fd, 2) < 0) {
    return SystemError(errno, "set up the standard streams");
  }
  int kept = internal::KeepOnlyGate(*gate);
  if (kept < 0) return SystemError(errno, "close files");
  *gate = kept;
  if (g_file_limit_known) setrlimit(RLIMIT_NOFILE, &g_file_limit);
  return absl::OkStatus();
}

// A protection that the keeper itself got from its service manager is not for apps.
void ResetOomScore() {
  int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  char text[16] = {};
  if (read(fd, text, sizeof(text) - 1) > 0 && text[0] == '-') {
    [[maybe_unused]] ssize_t ignored = pwrite(fd, "0", 1, 0);
  }
  close(fd);
}

absl::Status DropPrivileges(Identity identity) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return SystemError(errno, "no_new_privs");
  if (geteuid() != 0) return absl::OkStatus();
  ResetOomScore();
  int capability = 0;
  while (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) ++capability;
  // EINVAL comes after the last one that the kernel knows.
  if (errno != EINVAL || capability == 0) {
    return SystemError(errno, absl::StrCat("drop capability ", capability));
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (setgroups(0, nullptr) != 0 || setresgid(identity.gid, identity.gid, identity.gid) != 0 ||
      setresuid(identity.uid, identity.uid, identity.uid) != 0) {
    return SystemError(errno, absl::StrCat("change to user id ", identity.uid));
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return SystemError(errno, "drop capabilities");
  if (setuid(0) == 0) return absl::InternalError("root could be regained after it was dropped");
  return absl::OkStatus();
}

// The end of the keeper is the end of this process too. A change of the user would undo it, so it
// comes after that. What the process starts is the warden's matter.
absl::Status TieToKeeper(pid_t keeper) {
  if (keeper == 0) return absl::OkStatus();
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
    return SystemError(errno, "tie to the keeper");
  if (getppid() != keeper) _exit(0);  // It was faster.
  return absl::OkStatus();
}

absl::Status EnterFolder(const std::string& path, uid_t uid) {
  if (chdir(path.c_str()) == 0) return absl::OkStatus();
  int error = errno;
  if (error == ENOENT) {
    return absl::NotFoundError(absl::StrCat("working folder ", path, " does not exist"));
  }
  if (error == ENOTDIR) {
    return absl::FailedPreconditionError(absl::StrCat("working folder ", path, " is not a folder"));
  }
  if (error == EACCES) {
    return absl::PermissionDeniedError(
        absl::StrCat("working folder ", path, " cannot be entered by user id ", uid));
  }
  return SystemError(error, absl::StrCat("enter working folder ", path));
}

std::string PathVariable(const std::vector<std::string>& env) {
  for (const std::string& variable : env) {
    if (variable.compare(0, 5, "PATH=") == 0) return variable.substr(5);
  }
  return kDefaultPath;
}

bool IsFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

absl::Status NotExecutable(const std::string& path, uid_t uid) {
  return absl::PermissionDeniedError(
      absl::StrCat("command ", path, " is not executable by user id ", uid));
}

// Runs in the working folder, as the app: what it finds is what the app may use.
absl::StatusOr<std::string> FindProgram(const SpawnPlan& plan) {
  const std::string& program = plan.command[0];
  uid_t uid = geteuid();
  if (program.find('/') != std::string::npos) {
    if (faccessat(AT_FDCWD, program.c_str(), X_OK, AT_EACCESS) == 0 && IsFile(program)) {
      return program;
    }
    struct stat info;
    if (stat(program.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) {
        return absl::PermissionDeniedError(
            absl::StrCat("command ", program, " is a folder, not a program"));
      }
      return NotExecutable(program, uid);
    }
    if (errno == EACCES) return NotExecutable(program, uid);
    return absl::NotFoundError(
        absl::StrCat("command ", program, " not found in working folder ", plan.working_dir));
  }
  std::string path = PathVariable(plan.env);
  std::vector<std::string> places = {plan.working_dir, plan.working_dir + "/bin"};
  for (const std::string& place : std::vector<std::string>(absl::StrSplit(path, ':'))) {
    if (!place.empty()) places.push_back(place);
  }
  std::string refused;
  for (const std::string& place : places) {
    std::string candidate = absl::StrCat(place, "/", program);
    if (!IsFile(candidate)) continue;
    if (faccessat(AT_FDCWD, candidate.c_str(), X_OK, AT_EACCESS) == 0) return candidate;
    if (refused.empty()) refused = candidate;
  }
  if (!refused.empty()) return NotExecutable(refused, uid);
  return absl::NotFoundError(absl::StrCat("command ", program, " not found in working folder ",
                                          plan.working_dir, ", its bin/, or PATH ", path));
}

absl::Status ExecError(int error, const std::string& program, uid_t uid) {
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(absl::StrCat(
          "command ", program, " cannot run: its interpreter or loader does not exist"));
    case EACCES:
      return NotExecutable(program, uid);
    case ENOEXEC:
      return absl::FailedPreconditionError(
          absl::StrCat("command ", program,
                       " cannot run: it is neither a program for this machine nor a script that "
                       "begins with #!"));
    case E2BIG:
      return absl::InvalidArgumentError(absl::StrCat(
          "command ", program, " cannot run: its arguments and environment are too large"));
    case EAGAIN:
    case ENOMEM:
      return absl::ResourceExhaustedError(
          absl::StrCat("command ", program, " cannot run: ", ErrnoText(error)));
    default:
      return SystemError(error, absl::StrCat("command ", program, " cannot run"));
  }
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

absl::Status PrepareAndExec(const Policy& policy, const SpawnPlan& plan) {
  for (const std::string& tree : plan.adopt) {
    if (absl::Status s = AdoptTree(policy, tree, plan.identity); !s.ok()) return s;
  }
  if (absl::Status s = DropPrivileges(plan.identity); !s.ok()) return s;
  if (absl::Status s = TieToKeeper(plan.dies_with); !s.ok()) return s;
  umask(kUmask);
  if (absl::Status s = EnterFolder(plan.working_dir, geteuid()); !s.ok()) return s;
  auto program = FindProgram(plan);
  if (!program.ok()) return program.status();
  std::vector<char*> arguments = Pointers(plan.command);
  std::vector<char*> environment = Pointers(plan.env);
  execve(program->c_str(), arguments.data(), environment.data());
  return ExecError(errno, *program, geteuid());
}

}  // namespace

void RaiseFileLimit() {
  g_file_limit_known = getrlimit(RLIMIT_NOFILE, &g_file_limit) == 0;
  rlimit raised = g_file_limit;
  raised.rlim_cur = raised.rlim_max;
  if (g_file_limit_known) setrlimit(RLIMIT_NOFILE, &raised);
}

rlimit FileLimitOfChildren() { return g_file_limit; }

void SetFileLimitOfChildren(const rlimit& limit) {
  g_file_limit = limit;
  g_file_limit_known = true;
}

namespace internal {

void RunChild(const Policy& policy, const SpawnPlan& plan, int gate) {
  setsid();
  ResetSignals();
  absl::Status status = ArrangeFiles(plan, &gate);
  if (!status.ok()) FailChild(gate, status);
  char go;
  ssize_t n;
  do {
    n = recv(gate, &go, 1, 0);
  } while (n < 0 && errno == EINTR);
  if (n != 1) _exit(0);  // The keeper is gone, or changed its mind.
  FailChild(gate, PrepareAndExec(policy, plan));
}

}  // namespace internal
}  // namespace appsup::keeper
