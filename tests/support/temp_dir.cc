#include "tests/support/temp_dir.h"

#include <stdlib.h>

#include <cerrno>
#include <system_error>

namespace appsup::testing {

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "appsup-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "no temporary folder");
  }
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;  // A test's verdict does not hang on its litter.
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace appsup::testing
