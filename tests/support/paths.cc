#include "tests/support/paths.h"

#include <filesystem>

namespace appsup::testing {

std::string BinDir() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

std::string SourceDir() { return APPSUP_SOURCE_DIR; }

}  // namespace appsup::testing
