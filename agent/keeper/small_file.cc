#include "agent/keeper/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t limit) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, absl::StrCat("read ", path));
  std::string text;
  char buffer[4096];
  while (true) {
    ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, absl::StrCat("read ", path));
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > limit) {
      return absl::ResourceExhaustedError(
          absl::StrCat("read ", path, ": it has more than ", limit, " bytes"));
    }
  }
}

absl::Status WriteSetting(const std::string& path, std::string_view text) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) < 0) {
    return SystemError(errno, absl::StrCat("write \"", std::string(text), "\" to ", path));
  }
  return absl::OkStatus();
}

absl::Status MakeFolder(const std::string& path, mode_t mode) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    mkdir(path.substr(0, end).c_str(), 0755);
  }
  if (mkdir(path.c_str(), mode) == 0) {
    // Not reduced by the umask.
    if (chmod(path.c_str(), mode) != 0) return SystemError(errno, absl::StrCat("chmod ", path));
    return absl::OkStatus();
  }
  int error = errno;
  struct stat info;
  if (error == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return absl::OkStatus();
  }
  return SystemError(error == EEXIST ? ENOTDIR : error, absl::StrCat("make folder ", path));
}

}  // namespace appsup::keeper
