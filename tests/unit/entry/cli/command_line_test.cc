#include "entry/cli/command_line.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace appsup::cli {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("command line: a command without references is taken as it is") {
  const Words typed = {"node", "server.js", "$HOME", "100$"};
  const CommandLine line = CommandLineOf(typed);
  CHECK(line.arguments == typed);
  CHECK_FALSE(line.uses_port);
  CHECK(line.note.empty());
}

TEST_CASE("command line: http.server without a port gets the app's") {
  const CommandLine line = CommandLineOf({"python3", "-m", "http.server"});
  CHECK(line.arguments ==
        Words{"/bin/sh", "-c", "exec \"python3\" \"-m\" \"http.server\" \"$PORT\""});
  CHECK(line.uses_port);
  CHECK_FALSE(line.note.empty());
  CHECK(CommandLineOf({"/usr/bin/python3", "-m", "http.server", "-d", "www"}).uses_port);
}

TEST_CASE("command line: http.server with a port is left alone") {
  const Words typed = {"python3", "-m", "http.server", "--bind", "127.0.0.1", "8080"};
  CHECK(CommandLineOf(typed).arguments == typed);
}

TEST_CASE("command line: references are put in by a shell, all else is quoted") {
  const CommandLine line = CommandLineOf(
      {"serve", "--listen=:${PORT_ADMIN}", "a \"b\" `c` \\ $HOME", "$APPSUP_DATA_DIR/x"});
  CHECK(line.arguments == Words{"/bin/sh", "-c",
                                "exec \"serve\" \"--listen=:${PORT_ADMIN}\" "
                                "\"a \\\"b\\\" \\`c\\` \\\\ \\$HOME\" \"$APPSUP_DATA_DIR/x\""});
  CHECK(line.uses_port);
}

TEST_CASE("command line: a shell of the user's own expands by itself") {
  const Words typed = {"sh", "-c", "exec serve $PORT"};
  const CommandLine line = CommandLineOf(typed);
  CHECK(line.arguments == typed);
  CHECK(line.uses_port);
}

TEST_CASE("command line: names that only begin alike are not references") {
  CHECK_FALSE(CommandLineOf({"echo", "$PORTAL", "${PORT"}).uses_port);
}

}  // namespace
}  // namespace appsup::cli
