#include "common/swapped_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "common/file.h"
#include "common/id.h"
#include "common/random.h"
#include "common/status.h"

namespace appsup {
namespace {

constexpr size_t kSuffixLength = 10;

// Removes "<path>.<suffix>" but for the one that is in use. What cannot be removed stays.
void RemoveOlder(const std::string& path, const std::string& in_use) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string prefix = std::filesystem::path(path).filename().string() + ".";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() != prefix.size() + kSuffixLength ||
        name.compare(0, prefix.size(), prefix) != 0 || name == in_use || entry.is_symlink(error) ||
        !entry.is_directory(error)) {
      continue;
    }
    std::filesystem::remove_all(entry.path(), error);
  }
}

}  // namespace

absl::Status SwapFolder(const std::string& path, const std::map<std::string, std::string>& files) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0 && !S_ISLNK(info.st_mode)) {
    return absl::FailedPreconditionError(path +
                                         " is in the way: it should be a symbolic link or absent");
  }
  SystemRandom random;
  const std::string folder = path + "." + ShortId(random, kSuffixLength);
  RETURN_IF_ERROR(EnsureDir(folder, 0700));
  for (const auto& [name, content] : files) {
    RETURN_IF_ERROR(AtomicWriteFile(folder + "/" + name, content, 0600));
  }
  const std::string target = std::filesystem::path(folder).filename().string();
  const std::string new_link = folder + ".link";
  if (symlink(target.c_str(), new_link.c_str()) != 0) {
    return ErrnoError(errno, "symlink " + new_link);
  }
  if (rename(new_link.c_str(), path.c_str()) != 0) {
    const absl::Status status = ErrnoError(errno, "rename " + new_link + " to " + path);
    unlink(new_link.c_str());
    return status;
  }
  RemoveOlder(path, target);
  return absl::OkStatus();
}

}  // namespace appsup
