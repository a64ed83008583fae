#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "appsupervisor/v1/app.pb.h"
#include "common/http/http_server.h"
#include "common/metrics.h"

namespace appsup::entry {

// The entry's HTTP door (port 7072), for what is not gRPC:
//   /metrics                      Prometheus text
//   /healthz                      200 while a core leads, else 503
//   /apps/{app}/…                 307 to a ready instance of projects/default/apps/{app}
//   /projects/{project}/apps/{app}/…   the same for any project
// The path behind the name and the query are kept. 404 for an unknown app, 503 with the reason for
// one that has no ready instance. Instances take turns.
class Gateway {
 public:
  using Found = absl::AnyInvocable<void(const absl::StatusOr<appsupervisor::v1::App>&)>;
  // Asks for an app by name; answers on any thread, once. UNAVAILABLE while no core leads.
  using FindApp = std::function<void(const std::string& name, Found)>;
  // Brings the metrics up to date, then calls its argument; on any thread.
  using Collect = std::function<void(absl::AnyInvocable<void()> done)>;

  // `metrics` outlives this.
  static absl::StatusOr<std::unique_ptr<Gateway>> Start(const std::string& address,
                                                        const Metrics& metrics, FindApp find_app,
                                                        Collect collect);

  int port() const { return server_->port(); }

 private:
  Gateway() = default;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace appsup::entry
