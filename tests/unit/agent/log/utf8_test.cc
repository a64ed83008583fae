#include "agent/log/utf8.h"

#include <catch2/catch.hpp>

namespace appsup::agent {
namespace {

using namespace std::string_literals;

TEST_CASE("utf8: well-formed text stays as it is") {
  for (const std::string& text : {""s, "plain"s, "grün €"s, "\xF0\x9F\x98\x80"s}) {
    CHECK(ToUtf8(text, 400) == text);
  }
}

TEST_CASE("utf8: bytes that are no character become the replacement character") {
  const std::string r = "\xEF\xBF\xBD";
  CHECK(ToUtf8("a\xFF"s + "b", 400) == "a" + r + "b");
  CHECK(ToUtf8("\0"s, 400) == r);
  CHECK(ToUtf8("\xC0\xAF", 400) == r + r);                  // Overlong slash.
  CHECK(ToUtf8("\xED\xA0\x80", 400) == r + r + r);          // Surrogate.
  CHECK(ToUtf8("\xF4\x90\x80\x80", 400) == r + r + r + r);  // Beyond U+10FFFF.
  CHECK(ToUtf8("\xE2\x82", 400) == r + r);                  // Cut off.
}

TEST_CASE("utf8: a long text is cut between characters and says so") {
  CHECK(ToUtf8("abcd", 4) == "abcd");
  CHECK(ToUtf8("abcde", 4) == "abc\xE2\x80\xA6");
  CHECK(ToUtf8("€€€", 2) == "€\xE2\x80\xA6");
  CHECK(ToUtf8("ab", 0) == "");
}

}  // namespace
}  // namespace appsup::agent
