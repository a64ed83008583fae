#include "agent/artifact/tree_store.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

namespace fs = std::filesystem;

std::string Name(char c) { return std::string(64, c); }
absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(1'700'000'000 + seconds); }

struct Fixture {
  testing::TempDir dir;
  std::string cache = dir.File("cache");
  TreeStore store = TreeStore::Open(cache).value();

  void Make(const std::string& name, int64_t bytes, absl::Time used, const std::string& file = "") {
    fs::create_directories(store.TempPath("t"));
    std::ofstream(store.TempPath("t") + "/" + (file.empty() ? "content" : file)) << "x";
    REQUIRE(TreeStore::Place(store.TempPath("t"), store.Path(name)).ok());
    REQUIRE(TreeStore::Seal(store.Path(name), {bytes, file, {}}).ok());
    store.Add(name, {bytes, file, {}});
    REQUIRE(store.Use(name, file, used).ok());
  }
  bool Has(const std::string& name) const { return fs::exists(cache + "/" + name); }
};

TEST_CASE("tree store: what is ready is found again, what is not is removed") {
  Fixture f;
  f.Make(Name('a'), 10, At(1), "server");
  f.Make(Name('b'), 20, At(2));
  fs::create_directories(f.cache + "/" + Name('c') + "/half");                // No marker.
  std::ofstream(f.cache + "/" + Name('d') + ".ready") << "bytes=1\nfile=\n";  // No folder.
  fs::create_directories(f.cache + "/" + Name('e'));
  std::ofstream(f.cache + "/" + Name('e') + ".ready") << "";  // Torn.
  fs::create_directories(f.cache + "/tmp/fetch-1");
  fs::create_directories(f.cache + "/lost+found");
  const TreeStore again = TreeStore::Open(f.cache).value();
  CHECK(again.bytes() == 30);
  REQUIRE(again.Find(Name('a')) != nullptr);
  CHECK(again.Find(Name('a'))->file == "server");
  CHECK(again.Find(Name('a'))->last_used == At(1));
  CHECK(again.Find(Name('b'))->file == "");
  for (char c : {'c', 'd', 'e'}) {
    CHECK(again.Find(Name(c)) == nullptr);
    CHECK_FALSE(f.Has(Name(c)));
    CHECK_FALSE(f.Has(Name(c) + ".ready"));
  }
  CHECK_FALSE(f.Has("tmp/fetch-1"));
  CHECK(f.Has("lost+found"));
}

TEST_CASE("tree store: the longest unused trees go first, those in use never") {
  Fixture f;
  f.Make(Name('a'), 10, At(4));
  f.Make(Name('b'), 10, At(1));
  f.Make(Name('c'), 10, At(3));
  f.Make(Name('d'), 10, At(2));
  CHECK(f.store.Evict({Name('b')}, 40).empty());
  const auto evicted = f.store.Evict({Name('b')}, 20);
  CHECK(evicted.size() == 2);
  for (const std::string& path : evicted) CHECK(fs::exists(path + "/content"));
  CHECK(f.store.bytes() == 20);
  CHECK(f.Has(Name('a')));
  CHECK(f.Has(Name('b')));
  CHECK_FALSE(f.Has(Name('c')));
  CHECK_FALSE(f.Has(Name('d') + ".ready"));
  CHECK(f.store.Evict({Name('a'), Name('b')}, 0).empty());
}

TEST_CASE("tree store: one file is found under each name that it was asked for by") {
  Fixture f;
  f.Make(Name('a'), 1, At(1), "server-1.0");
  REQUIRE(f.store.Use(Name('a'), "server-latest", At(2)).ok());
  REQUIRE(f.store.Use(Name('a'), "server-latest", At(3)).ok());
  CHECK(f.Has(Name('a') + "/server-1.0"));
  CHECK(f.Has(Name('a') + "/server-latest"));
  CHECK(f.store.Find(Name('a'))->last_used == At(3));
}

TEST_CASE("tree store: a tree that never became ready is replaced") {
  Fixture f;
  fs::create_directories(f.store.Path(Name('a')) + "/half");
  f.Make(Name('a'), 1, At(1));
  CHECK_FALSE(f.Has(Name('a') + "/half"));
  CHECK(f.store.Discard(Name('z')) == "");
  const std::string away = f.store.Discard(Name('a'));
  CHECK(fs::exists(away + "/content"));
  CHECK_FALSE(f.Has(Name('a')));
}

TEST_CASE("tree store: sizes are those of the files") {
  Fixture f;
  fs::create_directories(f.dir.path() / "t" / "sub");
  std::ofstream(f.dir.File("t/a")) << "12345";
  std::ofstream(f.dir.File("t/sub/b")) << "123";
  fs::create_symlink("a", f.dir.File("t/link"));
  CHECK(TreeStore::Measure(f.dir.File("t")) == 8);
  CHECK(TreeStore::Measure(f.dir.File("absent")) == 0);
}

}  // namespace
}  // namespace appsup::agent
