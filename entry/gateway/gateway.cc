#include "entry/gateway/gateway.h"

#include <atomic>
#include <utility>

#include "common/status.h"
#include "entry/gateway/visit.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

HttpResponse ErrorResponse(const absl::Status& status) {
  const std::string text = std::string(status.message()) + "\n";
  if (status.code() == absl::StatusCode::kNotFound) return {.status = 404, .body = text};
  return {.status = 503, .body = text, .headers = {{"Retry-After", "2"}}};
}

// Any app's name will do: what counts is whether somebody answers.
void AnswerHealth(const Gateway::FindApp& find_app, HttpServer::Respond respond) {
  find_app("projects/default/apps/healthz",
           [respond = std::move(respond)](const auto& app) mutable {
             const bool leads = app.ok() || app.status().code() == absl::StatusCode::kNotFound;
             respond(leads ? HttpResponse{.body = "ok\n"} : ErrorResponse(app.status()));
           });
}

void AnswerApp(const Gateway::FindApp& find_app, const HttpRequest& request, const Visit& visit,
               uint64_t turn, HttpServer::Respond respond) {
  if (visit.add_slash) {
    std::string location = request.path + "/";
    if (!request.query.empty()) location += "?" + request.query;
    respond({.status = 308, .headers = {{"Location", location}}});
    return;
  }
  find_app(visit.app_name, [visit, query = request.query, turn,
                            respond = std::move(respond)](const auto& app) mutable {
    respond(app.ok() ? AnswerVisit(*app, visit, query, turn) : ErrorResponse(app.status()));
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Start(const std::string& address,
                                                        const Metrics& metrics, FindApp find_app,
                                                        Collect collect) {
  std::unique_ptr<Gateway> gateway(new Gateway);
  auto turn = std::make_shared<std::atomic<uint64_t>>(0);
  auto handler = [&metrics, turn, find_app = std::move(find_app), collect = std::move(collect)](
                     const HttpRequest& request, HttpServer::Respond respond) {
    if (request.path == "/metrics") {
      collect([&metrics, respond = std::move(respond)]() mutable {
        respond({.content_type = "text/plain; version=0.0.4", .body = metrics.RenderText()});
      });
    } else if (request.path == "/healthz") {
      AnswerHealth(find_app, std::move(respond));
    } else if (const auto visit = ParseVisit(request.path)) {
      AnswerApp(find_app, request, *visit, (*turn)++, std::move(respond));
    } else {
      respond({.status = 404, .body = fmt::format("{}: not found\n", request.path)});
    }
  };
  ASSIGN_OR_RETURN(gateway->server_, HttpServer::Start(address, std::move(handler)));
  return gateway;
}

}  // namespace appsup::entry
