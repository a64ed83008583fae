#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace appsup::testing {
namespace {

int ListenOnLoopback(uint16_t* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(fd, 512) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("no socket on loopback");
  }
  *port = ntohs(address.sin_port);
  return fd;
}

HttpServer::Request Parse(const std::string& head) {
  HttpServer::Request request;
  const size_t line_end = head.find("\r\n");
  const size_t first = head.find(' ');
  const size_t second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, second - first - 1);
  for (size_t at = line_end + 2; at < head.size();) {
    const size_t end = head.find("\r\n", at);
    const size_t colon = head.find(": ", at);
    if (end == std::string::npos || colon == std::string::npos || colon > end) break;
    std::string name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers[name] = head.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  return request;
}

}  // namespace

struct HttpServer::State {
  Handler handler;
  uint16_t port = 0;
  int listener = -1;
  std::atomic<int> requests{0};
  std::mutex mutex;  // Guards the rest.
  bool stopping = false;
  std::vector<int> open;
  std::vector<std::thread> threads;
  std::thread acceptor;

  void Accept() {
    for (;;) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      std::lock_guard lock(mutex);
      if (stopping) {
        close(fd);
        return;
      }
      open.push_back(fd);
      threads.emplace_back([this, fd] { Serve(fd); });
    }
  }

  void Serve(int fd) {
    std::string head;
    char buffer[4096];
    while (head.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
      if (got <= 0) break;
      head.append(buffer, static_cast<size_t>(got));
    }
    if (head.find("\r\n\r\n") != std::string::npos) {
      ++requests;
      handler(Parse(head), [fd](const std::string& bytes) { return WriteAll(fd, bytes); });
    }
    std::lock_guard lock(mutex);
    open.erase(std::find(open.begin(), open.end(), fd));
    close(fd);
  }

  // No bytes: only asks whether the client is still there, for up to 100 ms.
  static bool WriteAll(int fd, const std::string& bytes) {
    if (bytes.empty()) {
      pollfd poller{fd, POLLIN | POLLRDHUP, 0};
      return poll(&poller, 1, 100) == 0;
    }
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t sent = send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      done += static_cast<size_t>(sent);
    }
    return true;
  }
};

HttpServer::HttpServer(Handler handler) : state_(std::make_unique<State>()) {
  state_->handler = std::move(handler);
  state_->listener = ListenOnLoopback(&state_->port);
  state_->acceptor = std::thread([this] { state_->Accept(); });
}

HttpServer::~HttpServer() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    for (int fd : state_->open) shutdown(fd, SHUT_RDWR);
  }
  shutdown(state_->listener, SHUT_RDWR);
  state_->acceptor.join();
  close(state_->listener);
  for (std::thread& thread : state_->threads) thread.join();
}

uint16_t HttpServer::port() const { return state_->port; }

std::string HttpServer::url(const std::string& target) const {
  return "http://127.0.0.1:" + std::to_string(state_->port) + target;
}

int HttpServer::requests() const { return state_->requests; }

void HttpServer::WaitForClose(const Write& write) {
  while (write("")) {
  }
}

std::string HttpServer::Answer(int status, const std::string& body,
                               const std::string& more_headers) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Test\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n" +
         more_headers + "\r\n" + body;
}

uint16_t UnusedPort() {
  uint16_t port = 0;
  close(ListenOnLoopback(&port));
  return port;
}

}  // namespace appsup::testing
