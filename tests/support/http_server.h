#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace appsup::testing {

// A server on 127.0.0.1 for tests: a thread per connection, one request each. Handlers run on those
// threads. The destructor closes all connections and joins.
class HttpServer {
 public:
  struct Request {
    std::string method;
    std::string target;
    std::map<std::string, std::string> headers;  // Names in lower case.
  };
  // Writes bytes to the client; false once it is gone or the server stops.
  using Write = std::function<bool(const std::string& bytes)>;
  // Writes a whole answer, head included; the connection is closed when it returns.
  using Handler = std::function<void(const Request& request, const Write& write)>;

  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  std::string url(const std::string& target) const;
  int requests() const;  // Seen so far.

  // Blocks a handler until the client is gone or the server stops: for answers that never come.
  static void WaitForClose(const Write& write);

  static std::string Answer(int status, const std::string& body,
                            const std::string& more_headers = "");

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A port of 127.0.0.1 on which nobody listens (bound and closed again).
uint16_t UnusedPort();

}  // namespace appsup::testing
