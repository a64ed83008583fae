#include "tests/support/postgres_server.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "fmt/format.h"

namespace appsup::testing {
namespace {

void Must(bool done, const std::string& what) {
  if (!done) throw std::runtime_error("PostgreSQL: " + what);
}

std::string FindBin() {
  const std::filesystem::path root = "/usr/lib/postgresql";
  std::string newest;
  if (std::filesystem::exists(root)) {
    for (const auto& version : std::filesystem::directory_iterator(root)) {
      const auto bin = version.path() / "bin";
      if (std::filesystem::exists(bin / "initdb") && bin.string() > newest) newest = bin.string();
    }
  }
  Must(!newest.empty(), "not installed: apt install postgresql");
  return newest;
}

// Becomes `postgres` for good, in a child.
void DropRoot() {
  if (geteuid() != 0) return;
  const passwd* owner = getpwnam("postgres");
  if (owner == nullptr || initgroups("postgres", owner->pw_gid) != 0 ||
      setgid(owner->pw_gid) != 0 || setuid(owner->pw_uid) != 0) {
    _exit(126);
  }
}

}  // namespace

PostgresServer::PostgresServer(Sync sync) : sync_(sync), bin_(FindBin()) {
  if (geteuid() == 0) {
    const passwd* owner = getpwnam("postgres");
    Must(owner != nullptr, "there is no user postgres");
    Must(chown(dir_.path().c_str(), owner->pw_uid, owner->pw_gid) == 0, "chown");
  }
  Must(RunAsOwner(
           fmt::format("{}/initdb -D {} -A trust -U postgres --no-sync", bin_, dir_.File("data"))),
       "initdb failed");
  Start();
}

PostgresServer::~PostgresServer() { Stop(); }

void PostgresServer::Start() {
  Must(RunAsOwner(fmt::format(
           "{}/pg_ctl -D {} -w -l {} -o \"-k {} -c listen_addresses='' -c fsync={}\" start", bin_,
           dir_.File("data"), dir_.File("log"), dir_.path().string(),
           sync_ == Sync::kOn ? "on" : "off")),
       "does not start");
}

bool PostgresServer::Stop() {
  std::ifstream file(dir_.File("data/postmaster.pid"));
  pid_t pid = 0;
  if (!(file >> pid)) return true;
  return RunAsOwner(fmt::format("{}/pg_ctl -D {} -w -m immediate stop", bin_, dir_.File("data")));
}

void PostgresServer::Kill() { Must(Stop(), "does not stop"); }

std::string PostgresServer::NewDatabase() {
  const std::string name = fmt::format("test{}", ++databases_);
  Must(
      RunAsOwner(fmt::format("{}/createdb -h {} -U postgres {}", bin_, dir_.path().string(), name)),
      "createdb failed");
  return fmt::format("host={} user=postgres dbname={}", dir_.path().string(), name);
}

bool PostgresServer::RunAsOwner(const std::string& command) const {
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    DropRoot();
    if (chdir(dir_.path().c_str()) != 0) _exit(125);
    const std::string quiet = fmt::format("({}) >>{} 2>&1", command, dir_.File("commands"));
    execl("/bin/sh", "sh", "-c", quiet.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace appsup::testing
