#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/keeper/cgroup.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/small_file.h"

namespace appsup::keeper {
namespace {

constexpr char kMount[] = "/sys/fs/cgroup";
constexpr const char* kNames[] = {"cpu", "memory", "pids"};

// Where this process is: of "4:memory:/a/b" the path "/a/b" for "memory"; v2 is "0::/a" for "".
// Without the slash at the end, so that the root is "".
std::string OwnPath(const std::string& listing, std::string_view controller) {
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(listing, '\n'))) {
    std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    for (const std::string& name : std::vector<std::string>(absl::StrSplit(parts[1], ','))) {
      if (name == controller) return parts[2] == "/" ? "" : parts[2];
    }
  }
  return "";
}

// A service manager starts a service in the group that it made for it, and cannot where that group
// hands controllers on. Apps outlive the keeper and its restarts, so theirs lie beside it, in a
// slice that is the keeper's alone. Empty: there is no such slice.
std::string SliceOf(const std::string& own) {
  std::string slice = own.substr(0, own.rfind('/') == std::string::npos ? 0 : own.rfind('/'));
  std::string_view name = "/appsup.slice";
  bool ours = slice.size() >= name.size() &&
              slice.compare(slice.size() - name.size(), name.size(), name) == 0;
  return ours ? slice : "";
}

bool HasWord(const std::string& path, const std::string& word) {
  auto text = ReadSmallFile(path);
  if (!text.ok()) return false;
  for (const std::string& found :
       std::vector<std::string>(absl::StrSplit(*text, absl::ByAnyChar(" \n")))) {
    if (found == word) return true;
  }
  return false;
}

absl::Status MakeGroup(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return SystemError(errno, absl::StrCat("make control group ", path));
}

}  // namespace

void Cgroups::Open(const std::string& name, bool use_cgroups) {
  if (!use_cgroups) {
    trouble_ = "keeper.yaml says cgroups: false";
    return Explain();
  }
  auto own = ReadSmallFile("/proc/self/cgroup");
  std::string listing = own.ok() ? *own : "";
  bool only_v2 = access(absl::StrCat(kMount, "/cgroup.controllers").c_str(), F_OK) == 0;
  std::string mount = only_v2 ? kMount : absl::StrCat(kMount, "/unified");
  if (access(absl::StrCat(mount, "/cgroup.procs").c_str(), F_OK) == 0) {
    OpenV2(mount, OwnPath(listing, ""), name);
  } else {
    trouble_ = "no version 2 control groups are mounted";
  }
  for (int c = 0; c < kControllers && !only_v2; ++c) {
    if (!enforced_[c]) OpenV1(static_cast<Controller>(c), OwnPath(listing, kNames[c]), name);
  }
  Explain();
}

void Cgroups::OpenV2(const std::string& mount, const std::string& own, const std::string& name) {
  std::string slice = SliceOf(own);
  std::string here = absl::StrCat(mount, slice.empty() ? own : slice);
  std::string base = absl::StrCat(here, "/", name);
  absl::Status made = MakeGroup(base);
  if (!made.ok()) {
    trouble_ = std::string(made.message());
    return;
  }
  // A group that hands controllers on must not hold processes itself, except the topmost: the
  // keeper moves to a leaf of the group in which it was started.
  if (!own.empty() && slice.empty()) {
    std::string leaf = absl::StrCat(here, "/keeper");
    absl::Status moved = MakeGroup(leaf);
    if (moved.ok()) moved = WriteSetting(leaf + "/cgroup.procs", "0");
    if (!moved.ok() && trouble_.empty()) trouble_ = std::string(moved.message());
  }
  v2_ = base;
  for (int c = 0; c < kControllers; ++c) {
    if (!HasWord(here + "/cgroup.controllers", kNames[c])) continue;
    std::string word = absl::StrCat("+", kNames[c]);
    absl::Status on = WriteSetting(here + "/cgroup.subtree_control", word);
    if (on.ok() || HasWord(base + "/cgroup.controllers", kNames[c])) {
      on = WriteSetting(base + "/cgroup.subtree_control", word);
    }
    enforced_[c] = on.ok();
    if (!on.ok() && trouble_.empty()) trouble_ = std::string(on.message());
  }
}

void Cgroups::OpenV1(Controller controller, const std::string& own, const std::string& name) {
  std::string base = absl::StrCat(kMount, "/", kNames[controller], own);
  if (access(base.c_str(), F_OK) != 0) return;
  base = absl::StrCat(base, "/", name);
  absl::Status made = MakeGroup(base);
  if (made.ok()) {
    v1_[controller] = base;
    enforced_[controller] = true;
  } else if (trouble_.empty()) {
    trouble_ = std::string(made.message());
  }
}

void Cgroups::Explain() {
  std::string what;
  for (int c = 0; c < kControllers; ++c) {
    if (!enforced_[c]) what = absl::StrCat(what, what.empty() ? "" : ", ", kNames[c]);
  }
  if (!what.empty()) {
    missing_ = absl::StrCat("limits of ", what, " are not enforced");
  }
  if (v2_.empty()) {
    missing_ = absl::StrCat(missing_, missing_.empty() ? "" : "; ",
                            "stopping a tree of processes is best effort and no fence can be kept");
  }
  if (!missing_.empty() && !trouble_.empty())
    missing_ = absl::StrCat(missing_, " (", trouble_, ")");
}

void Cgroups::Keep(pb::GroupFolders& folders) const {
  folders.set_v2(v2_);
  for (const std::string& base : v1_) folders.add_v1(base);
  for (bool enforced : enforced_) folders.add_enforced(enforced);
  folders.set_missing(missing_);
}

void Cgroups::TakeOver(const pb::GroupFolders& folders) {
  v2_ = folders.v2();
  for (int c = 0; c < kControllers; ++c) {
    if (c < folders.v1_size()) v1_[c] = folders.v1(c);
    enforced_[c] = c < folders.enforced_size() && folders.enforced(c);
  }
  missing_ = folders.missing();
}

void Cgroups::Close() {
  if (!v2_.empty()) rmdir(v2_.c_str());
  for (const std::string& base : v1_) {
    if (!base.empty()) rmdir(base.c_str());
  }
}

}  // namespace appsup::keeper
