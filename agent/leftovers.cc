#include "agent/leftovers.h"

#include <filesystem>
#include <system_error>

#include "common/log.h"
#include "common/random.h"

namespace appsup::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kReady[] = ".ready";
constexpr char kTemporary[] = "tmp";
constexpr char kGivenUp[] = "away-";  // As the cache calls what it removes.

std::vector<fs::path> Entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    entries.push_back(at->path());
  }
  return entries;
}

void SetAside(const fs::path& tree, const fs::path& discard_dir) {
  std::error_code error;
  fs::remove_all(tree, error);
  if (!error) return;
  SystemRandom random;
  fs::rename(tree, discard_dir / std::to_string(random.Next()), error);
  if (error) {
    Log(LogLevel::kWarning, "leftover-stays",
        {{"path", tree.string()}, {"reason", error.message()}});
  }
}

}  // namespace

void SetAsideLeftovers(const std::string& cache_dir, const std::string& discard_dir) {
  for (const fs::path& path : Entries(fs::path(cache_dir) / kTemporary)) {
    SetAside(path, discard_dir);
  }
  for (const fs::path& path : Entries(cache_dir)) {
    std::error_code error;
    const bool tree = path.extension() != kReady && path.filename() != kTemporary;
    if (tree && !fs::exists(path.string() + kReady, error)) SetAside(path, discard_dir);
  }
}

std::vector<std::string> Discarded(const std::string& cache_dir, const std::string& discard_dir) {
  std::vector<std::string> paths;
  for (const fs::path& path : Entries(discard_dir)) paths.push_back(path.string());
  for (const fs::path& path : Entries(fs::path(cache_dir) / kTemporary)) {
    if (path.filename().string().starts_with(kGivenUp)) paths.push_back(path.string());
  }
  return paths;
}

}  // namespace appsup::agent
