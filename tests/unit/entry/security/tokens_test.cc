#include "entry/security/tokens.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "common/digest.h"
#include "common/file.h"
#include "common/join_token.h"
#include "tests/support/temp_dir.h"

namespace appsup::entry {
namespace {

std::string FirstLine(const std::string& path) {
  std::string text = *ReadFile(path);
  return text.substr(0, text.find('\n'));
}

TEST_CASE("tokens: the first start makes the administrator's, for its owner only") {
  testing::TempDir dir;
  const std::string path = dir.File("admin.token");
  const auto tokens = Tokens::Open(path, "");
  REQUIRE(tokens.ok());
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const std::string token = FirstLine(path);
  REQUIRE(tokens->Find(token).has_value());
  CHECK(tokens->Find(token)->role == Role::kAdmin);
  CHECK(tokens->Find(token)->name == "token:admin");
  CHECK_FALSE(tokens->Find(token + "x").has_value());
  CHECK_FALSE(tokens->Find("").has_value());
  CHECK(Tokens::Open(path, "")->Find(token).has_value());
}

TEST_CASE("tokens: a file that others may read, or an empty one, is refused") {
  testing::TempDir dir;
  REQUIRE(AtomicWriteFile(dir.File("open"), "a-token-that-is-long-enough\n", 0644).ok());
  CHECK(absl::IsFailedPrecondition(Tokens::Open(dir.File("open"), "").status()));
  REQUIRE(AtomicWriteFile(dir.File("empty"), "\n", 0600).ok());
  CHECK(absl::IsFailedPrecondition(Tokens::Open(dir.File("empty"), "").status()));
}

TEST_CASE("tokens: named ones come from a file of digests, with role and project") {
  testing::TempDir dir;
  REQUIRE(AtomicWriteFile(dir.File("tokens.yaml"),
                          "tokens:\n  - {name: ci, role: deployer, project: shop, token_sha256: " +
                              Sha256Hex("ci-secret") + "}\n",
                          0600)
              .ok());
  const auto tokens = Tokens::Open(dir.File("admin.token"), dir.File("tokens.yaml"));
  REQUIRE(tokens.ok());
  const auto principal = tokens->Find("ci-secret");
  REQUIRE(principal.has_value());
  CHECK(principal->name == "token:ci");
  CHECK(principal->role == Role::kDeployer);
  CHECK(principal->project == "shop");

  REQUIRE(
      AtomicWriteFile(dir.File("bad.yaml"), "tokens:\n  - {name: ci, role: king}\n", 0600).ok());
  CHECK(absl::IsInvalidArgument(
      Tokens::Open(dir.File("admin.token"), dir.File("bad.yaml")).status()));
}

TEST_CASE("tokens: only the Bearer form of the header carries one") {
  CHECK(BearerToken("Bearer abc") == "abc");
  for (const char* header : {"", "Bearer", "Bearer ", "bearer abc", "Basic abc", "abc"}) {
    CHECK_FALSE(BearerToken(header).has_value());
  }
}

TEST_CASE("join token: what was encoded comes back, and a damaged one is refused without echo") {
  const JoinToken token{Secret("s3cret_-x"), std::string(64, 'a'), "entry.example:7071"};
  const auto back = DecodeJoinToken(EncodeJoinToken(token));
  REQUIRE(back.ok());
  CHECK(back->secret.Reveal() == "s3cret_-x");
  CHECK(back->ca_fingerprint == token.ca_fingerprint);
  CHECK(back->address == "entry.example:7071");
  CHECK(DecodeJoinToken(EncodeJoinToken({Secret("s"), std::string(64, '0'), "[::1]:7071"}))
            ->address == "[::1]:7071");
  const std::string whole = EncodeJoinToken(token);
  for (const std::string& damaged :
       {std::string(), whole.substr(1), whole.substr(0, 40), "aj1..." + whole,
        whole.substr(0, whole.find("entry")), std::string("aj1.s3cret_-x.zz.entry:1"),
        std::string(2000, 'x')}) {
    const auto status = DecodeJoinToken(damaged).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find("s3cret") == std::string::npos);
  }
}

}  // namespace
}  // namespace appsup::entry
