#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace appsup::agent {

// What two instances of one node cannot have at the same time: port numbers and data folders. Also
// remembers which port was picked for which slot. Core thread only.
//
// A claim belongs to an instance while its process may run. A picked number belongs to the slot
// ("{app uid}/{environment}/{slot}") for its life: it is not given to others while numbers are
// left.
class Claims {
 public:
  Claims(int32_t first_port, int32_t last_port) : first_(first_port), last_(last_port) {}

  // From the journal. Rows that make no sense are dropped.
  void Load(const std::map<std::string, std::string>& rows);

  // A number that the spec fixes. FAILED_PRECONDITION names the holder.
  absl::Status ClaimFixed(int32_t number, const std::string& uid, const std::string& holder_name);

  // The slot's number for this port, or a fresh one if it has none, or another instance holds it
  // (an update in which old and new run side by side). `avoid`: numbers that were found in use.
  struct Picked {
    int32_t number = 0;
    bool fresh = false;
  };
  absl::StatusOr<Picked> ClaimPicked(const std::string& slot, const std::string& port,
                                     const std::string& uid, const std::string& holder_name,
                                     const std::set<int32_t>& avoid, uint64_t random);

  // A folder that only one may use. FAILED_PRECONDITION names the holder.
  absl::Status ClaimFolder(const std::string& path, const std::string& uid,
                           const std::string& holder_name);

  // It runs, or is about to, in this slot. Others may too, as in an update.
  void EnterSlot(const std::string& slot, const std::string& uid, const std::string& holder_name);
  // FAILED_PRECONDITION names another that is in this slot.
  absl::Status CheckSlotIsFree(const std::string& slot, const std::string& uid) const;

  // It runs, and what it uses of this app is not known.
  void HoldApp(const std::string& app_uid, const std::string& uid);
  // By another.
  bool IsAppHeld(const std::string& app_uid, const std::string& uid) const;

  // Everything that the instance claims.
  void Release(const std::string& uid);

  // The same, after claims that came to nothing: nobody can have waited for them.
  void Undo(const std::string& uid);

  // One of its ports; a fresh one is forgotten by its slot.
  void ReleasePort(int32_t number, const std::string& uid);

  // The slot's life is over.
  void ForgetSlot(const std::string& slot);

  // True once after something was released: others may go on.
  bool TakeReleased();
  // Those who wait shall look again.
  void Wake() { released_ = true; }

  // Rows of the journal that changed since the last call: key -> number, 0 erases.
  std::map<std::string, int32_t> TakeRows();

 private:
  struct Holder {
    std::string uid;
    std::string name;  // For people.
  };

  absl::StatusOr<int32_t> FreeNumber(const std::set<int32_t>& avoid, uint64_t random);
  void Remember(const std::string& key, int32_t number);
  void Forget(std::string key);

  const int32_t first_;
  const int32_t last_;
  std::map<int32_t, Holder> ports_;
  std::map<std::string, Holder> folders_;
  std::map<std::string, int32_t> slots_;                               // "{slot}/{port}" -> number.
  std::map<int32_t, std::string> owners_;                              // The inverse of slots_.
  std::map<std::string, std::map<std::string, std::string>> tenants_;  // Slot -> uid -> name.
  std::map<std::string, std::string> apps_;                            // Uid -> app that it holds.
  std::map<std::string, int32_t> rows_;
  bool released_ = false;
};

}  // namespace appsup::agent
