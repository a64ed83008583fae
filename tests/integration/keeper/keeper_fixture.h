#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/driver/process_driver.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {

bool IsAlive(pid_t pid);
std::string ReadWhole(const std::string& path);

// Remembers what a driver says.
class RecordingListener : public DriverListener {
 public:
  void OnConnected(const DriverDescription& d, Inventory i) override {
    description = d;
    inventories.push_back(std::move(i));
  }
  void OnDisconnected(const absl::Status& reason) override { disconnects.push_back(reason); }
  void OnStarted(const ProcessId& id, absl::StatusOr<Started> result) override {
    started[id].push_back(std::move(result));
  }
  void OnExited(const ProcessId& id, const ProcessExit& exit) override {
    exits[id].push_back(exit);
  }
  void OnFoldersRemoved(uint64_t token, const absl::Status& status) override {
    removed[token] = status;
  }
  void OnFencesSet(std::vector<ProcessId> ids) override {
    for (const ProcessId& id : ids) ++fences_set[id];
  }
  void OnLimitsSet(const ProcessId& id, const absl::Status& status) override {
    limits[id] = status;
  }
  void OnUsage(std::vector<ProcessUsage> u) override { usages.push_back(std::move(u)); }

  DriverDescription description;
  std::vector<Inventory> inventories;
  std::vector<absl::Status> disconnects;
  std::map<ProcessId, std::vector<absl::StatusOr<Started>>> started;
  std::map<ProcessId, std::vector<ProcessExit>> exits;
  std::map<uint64_t, absl::Status> removed;
  std::map<ProcessId, int> fences_set;
  std::map<ProcessId, absl::Status> limits;
  std::vector<std::vector<ProcessUsage>> usages;
};

struct KeeperSettings {
  uid_t run_as = 0;       // Only where the test itself is root.
  std::string yaml = "";  // More lines for keeper.yaml.
  bool stop_apps_on_exit = false;
  std::string program = "";  // Empty: the one that was built.
};

// A real keeper with its own folders, and a driver connected to it. The story a test tells is made
// of the verbs below; each waits until it has happened and fails the test if it does not.
class KeeperFixture {
 public:
  explicit KeeperFixture(KeeperSettings settings = {});
  ~KeeperFixture();

  void StartKeeper();
  // Sends the signal and waits for the end; its wait status.
  int EndKeeper(int signal);
  pid_t keeper_pid() const { return keeper_; }

  // A driver as of a newly started agent; the older one, if there is one, stays connected.
  void Connect();
  void Disconnect() { driver_.reset(); }
  ProcessDriver& driver() { return *driver_; }
  RecordingListener& heard() { return *listener_; }

  // `sh -c script`, with folders, logs and a working folder beneath root().
  StartRequest Shell(const std::string& instance, const std::string& script, int64_t attempt = 1);
  Started Start(const StartRequest& request);
  absl::Status StartFails(const StartRequest& request);
  ProcessExit WaitForExit(const ProcessId& id);
  bool Until(const std::function<bool()>& condition);

  std::string root() const { return dir_.File("root"); }
  std::string socket() const { return dir_.File("door/keeper.sock"); }
  EventLoop& loop() { return *loop_; }
  // All that keepers have said.
  std::string Log() const { return ReadWhole(dir_.File("keeper.log")); }
  std::string ConfigFile() const { return dir_.File("keeper.yaml"); }
  std::string run_dir() const { return dir_.File("run"); }
  std::string InstanceDir(const std::string& instance) const { return root() + "/" + instance; }
  // What the process wrote to standard output.
  std::string Output(const std::string& instance);
  // A number that the process wrote as a line of that file in its folder.
  pid_t ReadPid(const std::string& instance, const std::string& file);

 private:
  testing::TempDir dir_;
  KeeperSettings settings_;
  SystemClock clock_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<RecordingListener> listener_;
  std::unique_ptr<ProcessDriver> driver_;
  pid_t keeper_ = 0;
};

}  // namespace appsup::agent
