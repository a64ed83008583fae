#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/core/process.h"

namespace appsup::agent {

// Called on the loop thread, never from within a call of the driver.
class DriverListener {
 public:
  virtual ~DriverListener() = default;

  // The driver is usable. Comes first, and again after each OnDisconnected.
  virtual void OnConnected(const DriverDescription& description, Inventory inventory) = 0;
  // It is not, for now: it comes back by itself. Processes go on.
  virtual void OnDisconnected(const absl::Status& reason) = 0;

  // Answers Start once. An error is a sentence for people; nothing of it runs and no exit follows.
  // NOT_FOUND: command, working folder or user missing. PERMISSION_DENIED: not executable, or
  // refused by the node's policy. RESOURCE_EXHAUSTED: no more processes, memory or user ids. Other
  // codes: as the system said. UNAVAILABLE only for what may work a second later.
  virtual void OnStarted(const ProcessId& id, absl::StatusOr<Started> result) = 0;
  // The whole tree has ended. Repeated after a reconnect (in the inventory) until AckExit.
  virtual void OnExited(const ProcessId& id, const ProcessExit& exit) = 0;
  // Answers RemoveFolders with the same token.
  virtual void OnFoldersRemoved(uint64_t token, const absl::Status& status) = 0;
  // Answers SetFences where a fence was set: it holds from now on. Not told of those that were
  // changed again meanwhile.
  virtual void OnFencesSet(std::vector<ProcessId> ids) = 0;
  // Answers SetLimits.
  virtual void OnLimitsSet(const ProcessId& id, const absl::Status& status) = 0;
  // Answers SampleUsage; running processes of every kind.
  virtual void OnUsage(std::vector<ProcessUsage> usage) = 0;
};

// Hosts processes of one kind of runtime. Loop thread only. No call blocks. Calls made while
// disconnected are kept, in order, and carried out after the OnConnected that follows, except
// SampleUsage, which is dropped. Whoever decides anew in OnConnected calls Start or Stop again: all
// of them may be repeated.
class Driver {
 public:
  virtual ~Driver() = default;

  // Begins to connect. Once; the listener outlives the driver.
  virtual void Open(DriverListener& listener) = 0;

  // As of the last OnConnected.
  virtual DriverDescription Describe() const = 0;

  // A second Start of an id gets the answer of the first, whoever sent that and however long ago,
  // until AckExit. Starting another attempt while one of the same (instance_uid, kind) runs is
  // refused with FAILED_PRECONDITION.
  virtual void Start(StartRequest request) = 0;

  // Signals the main process, and kills the whole tree once `grace` has passed. Again: the earlier
  // deadline holds. Unknown and ended ids are ignored.
  virtual void Stop(const ProcessId& id, int signal, absl::Duration grace) = 0;
  // Stop without grace.
  virtual void Kill(const ProcessId& id) = 0;

  // The exit is in the journal; the driver forgets the id. Unknown ids are ignored.
  virtual void AckExit(const ProcessId& id) = 0;

  // Extends, sets or lifts fences. Unknown and ended ids are ignored. Of what is asked while
  // disconnected only the newest of each id is kept.
  virtual void SetFences(std::vector<FenceChange> changes) = 0;

  // Removes folders with all that is in them, symbolic links not followed; missing ones are fine.
  // `token` is the caller's, to tell answers apart.
  virtual void RemoveFolders(uint64_t token, std::vector<std::string> paths) = 0;

  virtual void SetLimits(const ProcessId& id, const ProcessLimits& limits) = 0;

  virtual void SampleUsage() = 0;
};

}  // namespace appsup::agent
