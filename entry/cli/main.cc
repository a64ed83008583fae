#include <grpc/support/log.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "common/clock.h"
#include "common/random.h"
#include "entry/cli/program.h"

namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

size_t TerminalWidth() {
  winsize size{};
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) return size.ws_col;
  }
  return 0;
}

appsup::cli::Surroundings LookAround() {
  appsup::cli::Surroundings surroundings;
  surroundings.server = Variable("APPSUP_SERVER");
  surroundings.token_file = Variable("APPSUP_TOKEN_FILE");
  surroundings.ca_file = Variable("APPSUP_CA_FILE");
  surroundings.project = Variable("APPSUP_PROJECT");
  surroundings.root = Variable("APPSUP_ROOT");
  surroundings.home = Variable("HOME");
  surroundings.no_color = !Variable("NO_COLOR").empty();
  surroundings.out_is_terminal = isatty(STDOUT_FILENO) == 1;
  surroundings.err_is_terminal = isatty(STDERR_FILENO) == 1;
  surroundings.width = TerminalWidth();
  return surroundings;
}

// gRPC's own lines say what our errors say, twice.
void Discard(gpr_log_func_args*) {}

}  // namespace

int main(int argc, char** argv) {
  if (Variable("GRPC_VERBOSITY").empty()) gpr_set_log_function(Discard);
  appsup::SystemClock clock;
  appsup::SystemRandom random;
  return appsup::cli::RunProgram({argv + 1, argv + argc}, LookAround(), std::cin, std::cout,
                                 std::cerr, clock, random);
}
