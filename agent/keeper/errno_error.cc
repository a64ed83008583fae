#include "agent/keeper/errno_error.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace appsup::keeper {

std::string ErrnoText(int error_number) {
  char buffer[128];
  return strerror_r(error_number, buffer, sizeof(buffer));
}

absl::Status SystemError(int error_number, std::string_view what) {
  return absl::Status(absl::ErrnoToStatusCode(error_number),
                      absl::StrCat(std::string(what), ": ", ErrnoText(error_number)));
}

}  // namespace appsup::keeper
