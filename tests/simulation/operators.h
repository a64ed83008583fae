#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "appsupervisor/v1/app_service.pb.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/entry_host.h"
#include "tests/simulation/observer.h"
#include "tests/simulation/schedule.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// People and their scripts: they make calls, lose requests and answers on the way, and repeat what
// they have no answer to with the same request_id, sometimes while the first is still under way.
class Operators {
 public:
  // Which entry a caller reaches at the moment.
  using Reach = std::function<EntryHost&()>;
  using Done = std::function<void(const absl::StatusOr<entry::MessagePtr>&)>;

  Operators(World& world, const Disk& disk, Observer& observer, Reach reach);

  // An environment and these nodes, as quickly as can be; `enrolled` brings a node's uid. Again for
  // a catalog that does not have them.
  void SetUp(int nodes, std::function<void(int node, const std::string& uid)> enrolled);
  void Do(const Action& action);
  // Undoes what would stand in the way: drained nodes are resumed, catalogs accepted, brakes
  // released.
  void Settle(int nodes);
  // Whatever the guarded nodes knew: this catalog is the right one.
  void AcceptCatalog();
  // From here on so many percent of messages are lost; none at first.
  void SetLosses(int percent) { losses_ = percent; }

  // Calls that nobody has given up.
  size_t open_calls() const { return open_calls_; }

  // A call that is repeated until it is answered by something else than UNAVAILABLE.
  void Ask(const std::string& method, entry::MessagePtr request, Done done, int tries = 30);
  entry::CallId NextCall() { return ++last_call_; }
  EntryHost& entry() { return reach_(); }

  static std::string AppName(int number);

 private:
  struct Attempts;

  void Try(const std::shared_ptr<Attempts>& attempts);
  void Answered(const std::shared_ptr<Attempts>& attempts,
                const absl::StatusOr<entry::MessagePtr>& reply);
  void Enrol(int node, std::function<void(int, const std::string&)> enrolled);
  void Create(const Action& action, Random& random);
  void Update(const Action& action, Random& random);
  void Cancel(const Action& action, Random& random);
  std::string RequestId(Random& random) const;
  template <class Request>
  std::shared_ptr<Request> Named(const Action& action, Random& random) const;

  World& world_;
  const Disk& disk_;
  Observer& observer_;
  const Reach reach_;
  SeededRandom random_;
  int losses_ = 0;
  entry::CallId last_call_ = 0;
  size_t open_calls_ = 0;
};

}  // namespace appsup::simulation
