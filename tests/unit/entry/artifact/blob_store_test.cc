#include "entry/artifact/blob_store.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/digest.h"
#include "common/status.h"
#include "tests/support/temp_dir.h"

namespace appsup::entry {
namespace {

struct Fixture {
  testing::TempDir dir;
  SeededRandom random{1};
  BlobStoreOptions options{.dir = dir.File("blobs")};
  std::unique_ptr<BlobStore> store = Open();

  std::unique_ptr<BlobStore> Open() {
    auto opened = BlobStore::Open(options, random);
    REQUIRE(opened.ok());
    return std::move(*opened);
  }
  void Reopen() {
    store.reset();
    store = Open();
  }
  std::string Put(const std::string& data) {
    const std::string digest = Sha256Hex(data);
    auto writer = store->Begin(digest);
    REQUIRE(writer.ok());
    REQUIRE((*writer)->Append(data).ok());
    const auto info = (*writer)->Finish();
    REQUIRE(info.ok());
    CHECK(info->sha256 == digest);
    return digest;
  }
  size_t Files() const {
    const std::filesystem::directory_iterator files(options.dir);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
};

TEST_CASE("blob store: what was pushed can be read, whole and in ranges") {
  Fixture f;
  const std::string digest = f.Put("hello world");
  const auto reader = f.store->OpenBlob(digest);
  REQUIRE(reader.ok());
  CHECK((*reader)->size() == 11);
  CHECK((*reader)->ReadAt(0, 100).value() == "hello world");
  CHECK((*reader)->ReadAt(6, 3).value() == "wor");
  CHECK((*reader)->ReadAt(11, 3).value() == "");
  CHECK(absl::IsOutOfRange((*reader)->ReadAt(12, 3).status()));
  CHECK(absl::IsOutOfRange((*reader)->ReadAt(-1, 3).status()));
  CHECK(f.store->Stat(digest)->size == 11);
  CHECK(f.store->total_bytes() == 11);
}

TEST_CASE("blob store: an empty blob is a blob") {
  Fixture f;
  const std::string digest = f.Put("");
  CHECK((*f.store->OpenBlob(digest))->ReadAt(0, 10).value() == "");
}

TEST_CASE("blob store: a wrong digest names both and leaves nothing") {
  Fixture f;
  const std::string announced = Sha256Hex("what was meant");
  {
    auto writer = f.store->Begin(announced);
    REQUIRE((*writer)->Append("what was ").ok());
    REQUIRE((*writer)->Append("sent").ok());
    const auto info = (*writer)->Finish();
    CHECK(absl::IsInvalidArgument(info.status()));
    CHECK(ErrorReason(info.status()) == "BLOB_DIGEST_MISMATCH");
    const std::string message(info.status().message());
    CHECK(message.find(announced) != std::string::npos);
    CHECK(message.find(Sha256Hex("what was sent")) != std::string::npos);
  }
  CHECK(f.Files() == 0);
  CHECK(absl::IsNotFound(f.store->Stat(announced).status()));
}

TEST_CASE("blob store: a blob that is there need not be sent again") {
  Fixture f;
  const std::string digest = f.Put("data");
  CHECK(absl::IsAlreadyExists(f.store->Begin(digest).status()));
  CHECK(absl::IsInvalidArgument(f.store->Begin("../etc/passwd").status()));
  CHECK(absl::IsInvalidArgument(f.store->Begin(std::string(64, 'A')).status()));
}

TEST_CASE("blob store: two writers of one blob may both finish") {
  Fixture f;
  const std::string digest = Sha256Hex("data");
  auto first = f.store->Begin(digest);
  auto second = f.store->Begin(digest);
  REQUIRE((*first)->Append("data").ok());
  REQUIRE((*second)->Append("data").ok());
  REQUIRE((*first)->Finish().ok());
  REQUIRE((*second)->Finish().ok());
  CHECK(f.store->total_bytes() == 4);
  CHECK((*f.store->OpenBlob(digest))->ReadAt(0, 9).value() == "data");
  CHECK(f.Files() == 1);
}

TEST_CASE("blob store: uploads of a crash are swept, blobs are found again") {
  Fixture f;
  const std::string digest = f.Put("data");
  const auto before = f.store->Stat(digest);
  std::ofstream(f.options.dir + "/upload-crashed") << "half";
  std::ofstream(f.options.dir + "/notes.txt") << "not ours";
  f.Reopen();
  CHECK(*f.store->Stat(digest) == *before);
  CHECK(f.store->total_bytes() == 4);
  CHECK(f.store->List("", 10).size() == 1);
  CHECK_FALSE(std::filesystem::exists(f.options.dir + "/upload-crashed"));
  CHECK(std::filesystem::exists(f.options.dir + "/notes.txt"));
}

TEST_CASE("blob store: bounds are named, and an abandoned upload gives its room back") {
  Fixture f;
  f.options.max_blob_bytes = 10;
  f.options.max_total_bytes = 15;
  f.Reopen();
  auto writer = f.store->Begin(Sha256Hex("x"));
  REQUIRE((*writer)->Append("0123456789").ok());
  const absl::Status large = (*writer)->Append("x");
  CHECK(absl::IsResourceExhausted(large));
  CHECK(std::string(large.message()) == "the blob has more than 10B, the most that one may have");
  auto other = f.store->Begin(Sha256Hex("other"));
  CHECK(std::string((*other)->Append("123456").message()) ==
        "the entry stores at most 15B of blobs; remove some that no revision uses");
  writer->reset();
  CHECK((*other)->Append("123456").ok());
  other->reset();
  CHECK(f.Files() == 0);
  f.Put("0123456789");
  f.Put("01234");
  CHECK(absl::IsResourceExhausted((*f.store->Begin(Sha256Hex("y")))->Append("y")));
}

TEST_CASE("blob store: pages follow the digests") {
  Fixture f;
  std::vector<std::string> digests;
  for (const char* data : {"a", "b", "c", "d", "e"}) digests.push_back(f.Put(data));
  std::sort(digests.begin(), digests.end());
  std::vector<std::string> listed;
  std::string after;
  for (;;) {
    const std::vector<BlobInfo> page = f.store->List(after, 2);
    if (page.empty()) break;
    CHECK(page.size() <= 2);
    for (const BlobInfo& info : page) listed.push_back(info.sha256);
    after = listed.back();
  }
  CHECK(listed == digests);
}

TEST_CASE("blob store: a removed blob stays readable for who has it open") {
  Fixture f;
  const std::string digest = f.Put("data");
  const auto reader = f.store->OpenBlob(digest);
  REQUIRE(f.store->Remove(digest).ok());
  CHECK(absl::IsNotFound(f.store->Remove(digest)));
  CHECK(absl::IsNotFound(f.store->OpenBlob(digest).status()));
  CHECK((*reader)->ReadAt(0, 9).value() == "data");
  CHECK(f.store->total_bytes() == 0);
  f.Put("data");
}

TEST_CASE("blob store: many threads push and read at one time") {
  Fixture f;
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string data =
            std::to_string(i) + std::string(1000, static_cast<char>('a' + t % 4));
        auto writer = f.store->Begin(Sha256Hex(data));
        const bool stored = absl::IsAlreadyExists(writer.status()) ||
                            ((*writer)->Append(data).ok() && (*writer)->Finish().ok());
        const auto reader = f.store->OpenBlob(Sha256Hex(data));
        if (stored && reader.ok() && (*reader)->ReadAt(0, 9999).value() == data) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 80);
  CHECK(f.store->List("", 1000).size() == 40);
}

}  // namespace
}  // namespace appsup::entry
