#include "common/id.h"

#include <catch2/catch.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <type_traits>

#include "common/resource_name.h"

namespace appsup {
namespace {

// Always the same bits: shows which of them an id overrides.
class ConstantRandom : public Random {
 public:
  explicit ConstantRandom(uint64_t value) : value_(value) {}
  uint64_t Next() override { return value_; }

 private:
  uint64_t value_;
};

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};

}  // namespace

TEST_CASE("id: a uuid has the form, version and variant of RFC 4122") {
  ConstantRandom ones(~uint64_t{0});
  CHECK(NewUuid(ones) == "ffffffff-ffff-4fff-bfff-ffffffffffff");
  ConstantRandom zeros(0);
  CHECK(NewUuid(zeros) == "00000000-0000-4000-8000-000000000000");
  SeededRandom random(7);
  std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (int i = 0; i < 100; ++i) CHECK(std::regex_match(NewUuid(random), form));
}

TEST_CASE("id: a short id is a valid resource id without vowels") {
  SeededRandom random(7);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    std::string id = ShortId(random, 8);
    CHECK(id.size() == 8);
    CHECK(IsValidId(id));
    CHECK(id.find_first_of("aeiouy013") == std::string::npos);
    seen.insert(id);
  }
  CHECK(seen.size() == 1000);
  CHECK(ShortId(random, 1).size() == 1);
}

TEST_CASE("id: a new secret is url-safe, as long as asked for and never the same") {
  std::regex form("[A-Za-z0-9_-]+");
  Secret secret = NewSecret(32);
  CHECK(secret.Reveal().size() == 43);
  CHECK(std::regex_match(secret.Reveal(), form));
  CHECK_FALSE(secret.Equals(NewSecret(32).Reveal()));
  CHECK(NewSecret(5).Reveal().size() == 7);
}

TEST_CASE("secret: cannot be streamed, compares by value and forgets when moved") {
  STATIC_REQUIRE_FALSE(Streamable<Secret>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Secret, std::string>);
  Secret secret("s3cret");
  CHECK(secret.Equals("s3cret"));
  CHECK_FALSE(secret.Equals("s3cre"));
  CHECK_FALSE(secret.Equals("s3creT"));
  Secret copy = secret;
  Secret moved = std::move(secret);
  CHECK(moved.Equals("s3cret"));
  CHECK(secret.empty());  // NOLINT(bugprone-use-after-move): the promise under test.
  copy = Secret("other");
  CHECK(copy.Equals("other"));
  copy = moved;
  CHECK(copy.Equals("s3cret"));
}

}  // namespace appsup
