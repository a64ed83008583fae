#include "common/packet.h"

#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "common/unique_fd.h"

namespace appsup {
namespace {

struct Ends {
  Ends() {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    a = UniqueFd(fds[0]);
    b = UniqueFd(fds[1]);
  }
  UniqueFd a, b;
};

TEST_CASE("packet: bodies of every size arrive whole and in order") {
  Ends ends;
  for (size_t size : {size_t{0}, size_t{1}, kInlineLimit, kInlineLimit + 1, kBodyLimit}) {
    std::string body(size, 'x');
    if (size > 0) body.back() = 'y';
    auto sent = SendPacket(ends.a.get(), body);
    REQUIRE(sent.ok());
    CHECK(*sent);
    auto received = ReceivePacket(ends.b.get());
    INFO(size << " " << received.status().ToString());
    REQUIRE(received.ok());
    REQUIRE(received->has_value());
    CHECK(**received == body);
  }
}

TEST_CASE("packet: a body over the limit is refused and nothing is sent") {
  Ends ends;
  auto sent = SendPacket(ends.a.get(), std::string(kBodyLimit + 1, 'x'));
  CHECK(sent.status().code() == absl::StatusCode::kResourceExhausted);
  auto received = ReceivePacket(ends.b.get());
  REQUIRE(received.ok());
  CHECK_FALSE(received->has_value());
}

TEST_CASE("packet: a full socket says so, and the other side's end is an error") {
  Ends ends;
  bool full = false;
  for (int i = 0; i < 100'000 && !full; ++i) {
    auto sent = SendPacket(ends.a.get(), std::string(1000, 'x'));
    REQUIRE(sent.ok());
    full = !*sent;
  }
  CHECK(full);
  ends.a.Reset();
  absl::StatusOr<std::optional<std::string>> received = std::nullopt;
  do {
    received = ReceivePacket(ends.b.get());
  } while (received.ok() && received->has_value());
  CHECK(received.status().code() == absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace appsup
