#include "entry/cli/manifest_files.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "common/file.h"
#include "common/status.h"
#include "entry/cli/exit_code.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxManifestBytes = size_t{8} << 20;

template <class Iterator>
std::vector<std::string> ManifestsIn(const std::string& folder) {
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : Iterator(folder)) {
    const std::string extension = entry.path().extension();
    if (entry.is_regular_file() && (extension == ".yaml" || extension == ".yml")) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<std::vector<std::string>> FilesOf(const std::string& path, bool recursive) {
  // The one place of manifests where exceptions of std::filesystem end.
  try {
    if (!fs::is_directory(path)) return std::vector<std::string>{path};
    const std::vector<std::string> files = recursive
                                               ? ManifestsIn<fs::recursive_directory_iterator>(path)
                                               : ManifestsIn<fs::directory_iterator>(path);
    if (!files.empty()) return files;
    return absl::NotFoundError(fmt::format("folder {} holds no .yaml or .yml file", path));
  } catch (const fs::filesystem_error& error) {
    return ErrnoError(error.code().value(), "read folder " + path);
  }
}

absl::StatusOr<std::vector<ManifestText>> ReadTexts(Session& session, const std::string& path,
                                                    bool recursive) {
  std::vector<ManifestText> texts;
  if (path == "-") {
    texts.push_back(
        {"standard input",
         {std::istreambuf_iterator<char>(session.in), std::istreambuf_iterator<char>()}});
    return texts;
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesOf(path, recursive));
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(file, kMaxManifestBytes));
    texts.push_back({file, std::move(text)});
  }
  return texts;
}

int OrderOf(const Manifest& manifest) {
  static constexpr const char* kOrder[] = {"Project", "Environment", "Node", "App"};
  const auto* found = std::find(std::begin(kOrder), std::end(kOrder), manifest.kind);
  return static_cast<int>(found - std::begin(kOrder));
}

}  // namespace

absl::StatusOr<std::vector<Manifest>> LoadManifests(Session& session,
                                                    const std::vector<std::string>& paths,
                                                    bool recursive) {
  std::vector<ManifestText> texts;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(std::vector<ManifestText> more, ReadTexts(session, path, recursive));
    std::move(more.begin(), more.end(), std::back_inserter(texts));
  }
  absl::StatusOr<std::vector<Manifest>> manifests = ReadManifests(texts, session.settings.project);
  if (!manifests.ok()) return manifests;
  std::stable_sort(manifests->begin(), manifests->end(),
                   [](const Manifest& a, const Manifest& b) { return OrderOf(a) < OrderOf(b); });
  return manifests;
}

}  // namespace appsup::cli
