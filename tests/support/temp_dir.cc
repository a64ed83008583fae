#include "tests/support/temp_dir.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <system_error>

namespace appsup::testing {

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "appsup-test-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;  // A test's verdict does not hang on its litter.
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace appsup::testing
