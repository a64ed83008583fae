// What a keeper reads: requests, the records of an earlier keeper, its table of user ids. No
// process is started: Spawn is taken but not flushed, and folders are only made beneath a root for
// the test.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "agent/keeper/folder.h"
#include "agent/keeper/poller.h"
#include "agent/keeper/process_table.h"
#include "agent/keeper/supervisor.h"
#include "common/packet.h"
#include "tests/fuzz/steps.h"
#include "tests/support/temp_dir.h"

namespace appsup::keeper {
namespace {

using fuzz::Expect;
using fuzz::Step;

// Before the keeper opens: kRecord, kRecordFile, kUids. Then kRequest; kFolder: a path to prepare.
enum Kind : uint8_t { kRequest, kRecord, kRecordFile, kUids, kFolder };

constexpr int64_t kNoPid = 5'000'000;  // Greater than any that the system gives.

Policy MakePolicy(const std::string& dir) {
  Policy policy;
  policy.agent = {geteuid(), getegid()};
  policy.roots = {dir + "/apps", dir + "/logs"};
  policy.users = {"nobody", "root"};
  policy.max_cpu_millis = 4000;
  policy.run_dir = dir + "/run";
  policy.state_dir = dir + "/state";
  policy.use_cgroups = false;
  return policy;
}

class World {
 public:
  World()
      : policy_(MakePolicy(Fresh())),
        supervisor_(policy_, poller_,
                    {[this](const auto& answer) {
                       Expect(!answer.has_error() || answer.error().code() != 0,
                              "an error has a code");
                       ++answers_[answer.id()];
                     },
                     [](pid_t, bool) { return false; }}) {
    for (const std::string& dir : {policy_.run_dir, policy_.state_dir}) {
      std::filesystem::create_directories(dir);
    }
  }

  void Prepare(const Step& step) {
    if (step.kind == kRecordFile) Put(policy_.run_dir + "/processes", step.body);
    if (step.kind == kUids) Put(policy_.state_dir + "/uids", step.body);
    pb::ProcessRecord record;
    if (step.kind != kRecord || !record.ParseFromString(step.body)) return;
    // Of a process that cannot be there.
    record.set_pid(kNoPid + (record.pid() & 0xff));
    record.set_boot_id(ReadBootId());
    RecordFile file;
    std::vector<std::pair<int, std::string>> found;
    int slot = -1;
    if (!file.Open(policy_.run_dir + "/processes", &found).ok()) return;
    file.Write(record.SerializeAsString(), &slot).IgnoreError();
  }

  bool Open() { return poller_.Open().ok() && supervisor_.Open(nullptr).ok(); }

  void Do(const Step& step) {
    if (step.kind == kFolder) return PrepareFolders(step.body);
    pb::Request request;
    if (step.kind != kRequest || !request.ParseFromString(step.body)) return;
    request.set_id(++last_id_);
    const bool waits = Handle(request);
    const int answers = answers_[last_id_];
    Expect(answers == 1 || (waits && answers == 0), "a request is answered once");
  }

 private:
  // One folder for all inputs, emptied.
  static std::string Fresh() {
    static const auto& dir = *new testing::TempDir;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
      std::filesystem::remove_all(entry.path());
    }
    return dir.path();
  }

  static void Put(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

  // True if the answer may come later.
  bool Handle(pb::Request& request) {
    const uint64_t id = request.id();
    switch (request.kind_case()) {
      case pb::Request::kHello:
        supervisor_.Hello(id, request.hello());
        return false;
      case pb::Request::kSpawn:
        supervisor_.Spawn(id, std::move(*request.mutable_spawn()));
        return true;
      case pb::Request::kStop:
        supervisor_.Stop(id, request.stop());
        return false;
      case pb::Request::kSetLimits:
        supervisor_.SetLimits(id, request.set_limits());
        return false;
      case pb::Request::kList:
        supervisor_.List(id, request.list());
        return false;
      case pb::Request::kAckExits:
        supervisor_.AckExits(id, request.ack_exits());
        return false;
      case pb::Request::kRemoveFolders:
        for (const std::string& path : request.remove_folders().paths()) CheckPath(path);
        return true;
      case pb::Request::kSampleUsage:
        supervisor_.SampleUsage(id, request.sample_usage());
        return false;
      case pb::Request::kSetFences:
        supervisor_.SetFences(id, request.set_fences());
        return false;
      default:
        return true;
    }
  }

  // False: the path is refused. What is allowed lies beneath a root, however it is written.
  bool CheckPath(const std::string& path) {
    const auto rooted = BeneathRoot(policy_, path);
    if (!rooted.ok()) return false;
    const auto normal = std::filesystem::path(path).lexically_normal().string();
    bool beneath = false;
    for (const std::string& root : policy_.roots) {
      beneath |= normal.size() > root.size() + 1 && normal.starts_with(root + "/");
    }
    Expect(beneath, "an allowed path lies beneath a root");
    return true;
  }

  void PrepareFolders(const std::string& text) {
    const std::string path = policy_.roots[0] + "/" + text;
    if (text.size() > 200 || !CheckPath(path)) return;
    if (!PrepareFolder(policy_, path, policy_.agent, 0755).ok()) return;
    Expect(std::filesystem::is_directory(std::string(path.c_str())), "a prepared folder is there");
    OpenLog(policy_, path + "/out").status().IgnoreError();
    Expect(AdoptTree(policy_, path, policy_.agent), "a tree is given away");
    Expect(RemoveTree(policy_, path), "a tree is removed");
    Expect(!std::filesystem::exists(std::string(path.c_str())), "a removed folder is gone");
  }

  const Policy policy_;
  Poller poller_;
  Supervisor supervisor_;
  std::map<uint64_t, int> answers_;
  uint64_t last_id_ = 0;
};

}  // namespace
}  // namespace appsup::keeper

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto steps = appsup::fuzz::ReadSteps(data, size);
  appsup::keeper::World world;
  for (const appsup::fuzz::Step& step : steps) world.Prepare(step);
  if (!world.Open()) return 0;
  for (const appsup::fuzz::Step& step : steps) world.Do(step);
  return 0;
}
