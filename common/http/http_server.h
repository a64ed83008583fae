#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

struct MHD_Daemon;

namespace appsup {

struct HttpRequest {
  std::string method;  // "GET".
  std::string path;    // Decoded, begins with '/'.
  std::string query;   // As it was sent, without '?'.
  std::string host;    // The Host header, without a port.
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
  std::map<std::string, std::string> headers = {};
};

// A small HTTP/1.1 server for metrics, health and redirects: one thread of its own for all
// connections (epoll). GET and HEAD only; anything else is answered 405, and a request body is not
// read.
//
// A connection whose peer says or takes nothing is closed after kIdleTimeoutSeconds. Beyond
// kMaxConnections a newcomer takes the place of the one that waits for its peer the longest, so
// strangers who hold connections open keep nobody out. There is no limit per address: behind a
// proxy all users have the same.
class HttpServer {
 public:
  static constexpr unsigned kMaxConnections = 256;
  static constexpr unsigned kIdleTimeoutSeconds = 10;

  // To be called once, from any thread, now or later.
  using Respond = absl::AnyInvocable<void(HttpResponse)>;
  // Called on the server's thread; must not block.
  using Handler = std::function<void(const HttpRequest&, Respond)>;

  // `address`: "127.0.0.1:7072", "[::]:7072"; port 0 picks one.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address,
                                                           Handler handler);
  // Requests that are not answered yet are dropped.
  ~HttpServer();

  int port() const { return port_; }

 private:
  struct Pending;
  struct Context;
  struct Peer;
  struct Callbacks;
  HttpServer() = default;

  std::shared_ptr<Context> context_;
  MHD_Daemon* daemon_ = nullptr;
  int port_ = 0;
};

}  // namespace appsup
