#include "entry/cli/log_print.h"

#include <catch2/catch.hpp>
#include <sstream>
#include <string>

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;

v1::TailLogsResponse Piece(const std::string& instance, int64_t offset, const std::string& data) {
  v1::TailLogsResponse piece;
  piece.set_instance("projects/default/apps/crm/instances/" + instance);
  piece.set_attempt(1);
  piece.set_stream(v1::LOG_STREAM_STDOUT);
  piece.set_offset(offset);
  piece.set_data(data);
  return piece;
}

struct Screen {
  std::ostringstream out;
  std::ostringstream err;
};

TEST_CASE("log print: bytes are passed on as they are") {
  Screen screen;
  LogPrinter printer(screen.out, screen.err, false);
  printer.Print(Piece("a", 0, "one\ntwo"));
  printer.Print(Piece("a", 7, " halves\n"));
  CHECK(screen.out.str() == "one\ntwo halves\n");
  CHECK(screen.err.str().empty());
}

TEST_CASE("log print: each line of several instances names its own, once") {
  Screen screen;
  LogPrinter printer(screen.out, screen.err, true);
  printer.Print(Piece("a", 0, "one\ntwo\n"));
  printer.Print(Piece("b", 0, "other\n"));
  CHECK(screen.out.str() == "[a] one\n[a] two\n[b] other\n");
}

TEST_CASE("log print: what is sent again after a break is not shown again") {
  Screen screen;
  LogPrinter printer(screen.out, screen.err, false);
  printer.Print(Piece("a", 100, "one\n"));
  printer.Print(Piece("a", 100, "one\ntwo\n"));
  printer.Print(Piece("a", 100, "one\n"));
  CHECK(screen.out.str() == "one\ntwo\n");
}

TEST_CASE("log print: what is lost is told") {
  Screen screen;
  LogPrinter printer(screen.out, screen.err, false);
  v1::TailLogsResponse first = Piece("a", 100, "one\n");
  first.set_skipped(100);
  printer.Print(first);
  printer.Print(Piece("a", 110, "two\n"));
  CHECK(screen.out.str() == "one\ntwo\n");
  CHECK(screen.err.str() ==
        "[a] 100 bytes are not kept any more\n[a] 6 bytes are not kept any more\n");
}

TEST_CASE("log print: notices go to standard error") {
  Screen screen;
  LogPrinter printer(screen.out, screen.err, false);
  v1::TailLogsResponse notice = Piece("a", 0, "");
  notice.set_notice("its node does not answer");
  printer.Print(notice);
  CHECK(screen.out.str().empty());
  CHECK(screen.err.str() == "[a] its node does not answer\n");
}

}  // namespace
}  // namespace appsup::cli
