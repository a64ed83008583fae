#include "entry/api/local_listener.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace appsup::entry {
namespace {

UniqueFd Connect(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

int ModeOf(const std::string& path, gid_t* group) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  *group = info.st_gid;
  return info.st_mode & 0777;
}

TEST_CASE("local listener: the socket is for the group that is named, or for none") {
  testing::TempDir dir;
  const std::string path = dir.File("api.sock");
  gid_t owner = 0;
  {
    const auto listener = LocalListener::Open(path, "");
    REQUIRE(listener.ok());
    CHECK(ModeOf(path, &owner) == 0600);
  }
  const group* own = getgrgid(getegid());
  REQUIRE(own != nullptr);
  const std::string name = own->gr_name;
  const auto listener = LocalListener::Open(path, name);
  INFO(listener.status().ToString());
  REQUIRE(listener.ok());
  CHECK(ModeOf(path, &owner) == 0660);
  CHECK(owner == getegid());
}

TEST_CASE("local listener: a group that does not exist is named, and no socket is left") {
  testing::TempDir dir;
  const std::string path = dir.File("api.sock");
  const absl::Status status = LocalListener::Open(path, "no-such-group").status();
  CHECK(absl::IsNotFound(status));
  CHECK_THAT(status.ToString(), Catch::Contains("no-such-group"));
  CHECK(access(path.c_str(), F_OK) != 0);
}

TEST_CASE("local listener: a connection does not get the number of one that just ended") {
  testing::TempDir dir;
  const std::string path = dir.File("api.sock");
  auto listener = LocalListener::Open(path, "");
  REQUIRE(listener.ok());
  Mutex mutex;
  std::vector<int> numbers;  // Guarded by `mutex`.
  (*listener)->Serve([&](int fd) {
    close(fd);  // As gRPC does in the end.
    MutexLock lock(&mutex);
    numbers.push_back(fd);
  });
  for (size_t i = 1; i <= 20; ++i) {
    const UniqueFd client = Connect(path);
    REQUIRE(testing::WaitFor([&] {
      MutexLock lock(&mutex);
      return numbers.size() == i;
    }));
  }
  (*listener)->Stop();
  for (size_t i = 1; i < numbers.size(); ++i) CHECK(numbers[i] != numbers[i - 1]);
  const auto user = (*listener)->UserOfPeer("fd:" + std::to_string(numbers.front()));
  REQUIRE(user.has_value());
  CHECK_FALSE(user->empty());
  CHECK_FALSE((*listener)->UserOfPeer("fd:5000").has_value());
  CHECK_FALSE((*listener)->UserOfPeer("ipv4:127.0.0.1:256").has_value());
}

}  // namespace
}  // namespace appsup::entry
