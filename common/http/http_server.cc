#include "common/http/http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include <list>
#include <optional>
#include <set>
#include <utility>

#include "common/mutex.h"
#include "common/status.h"
#include "fmt/format.h"

namespace appsup {

// One request between its arrival and its answer.
struct HttpServer::Pending {
  HttpRequest request;
  std::string decoded;
  bool asked = false;      // The handler has it. Server thread only.
  bool suspended = false;  // Guarded by Context::mutex, as is `response`.
  std::optional<HttpResponse> response;
};

// What answers need after the server may have gone: they hold it weakly.
struct HttpServer::Context {
  Handler handler;
  Mutex mutex;
  std::set<MHD_Connection*> waiting ABSL_GUARDED_BY(mutex);  // Suspended connections.
  bool stopping ABSL_GUARDED_BY(mutex) = false;

  // The server's thread only.
  unsigned open = 0;                // Connections that were not hung up on.
  std::list<MHD_Connection*> idle;  // Those that wait for their peer, least recently used first.
};

// What belongs to one connection. The server's thread only.
struct HttpServer::Peer {
  // Each connection's own reference.
  const std::shared_ptr<Context> context;
  std::optional<std::list<MHD_Connection*>::iterator> idle;
  bool hung_up = false;

  static Peer& Of(MHD_Connection* connection) {
    return *static_cast<Peer*>(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
  }

  void LeaveIdle() {
    if (idle.has_value()) context->idle.erase(*idle);
    idle.reset();
  }

  // Used just now, and the peer has the next move.
  void BecomeIdle(MHD_Connection* connection) {
    LeaveIdle();
    if (!hung_up) idle = context->idle.insert(context->idle.end(), connection);
  }

  void HangUp(MHD_Connection* connection) {
    LeaveIdle();
    hung_up = true;
    --context->open;
    // The library, which owns the socket, finds it ended and closes it.
    shutdown(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
             SHUT_RDWR);
  }
};

struct HttpServer::Callbacks {
  // The path, decoded by the library, and the query as it came.
  static void* Begin(void*, const char* uri, MHD_Connection* connection) {
    Peer::Of(connection).BecomeIdle(connection);
    auto* pending = new Pending;  // Freed by End.
    const char* question = strchr(uri, '?');
    if (question != nullptr) pending->request.query = question + 1;
    return pending;
  }

  static MHD_Result Handle(void* closure, MHD_Connection* connection, const char* url,
                           const char* method, const char*, const char*, size_t* upload_size,
                           void** state) {
    auto* context = static_cast<Context*>(closure);
    auto* pending = static_cast<Pending*>(*state);
    if (*upload_size > 0) {
      *upload_size = 0;  // A body means nothing here.
      return MHD_YES;
    }
    if (!pending->asked) {
      pending->asked = true;
      return Ask(context, connection, *pending, url, method);
    }
    HttpResponse response;
    {
      MutexLock lock(&context->mutex);
      if (!pending->response.has_value()) return MHD_YES;
      response = std::move(*pending->response);
    }
    return Send(connection, response);
  }

  static MHD_Result Ask(Context* context, MHD_Connection* connection, Pending& pending,
                        const char* url, const char* method) {
    pending.request.method = method;
    pending.request.path = url;
    const char* host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    if (host != nullptr) {
      pending.request.host = host;
      const size_t colon = pending.request.host.rfind(':');
      if (colon != std::string::npos && pending.request.host.back() != ']') {
        pending.request.host.resize(colon);
      }
    }
    if (pending.request.method != "GET" && pending.request.method != "HEAD") {
      return Send(connection, {.status = 405, .body = "only GET and HEAD\n"});
    }
    Peer& peer = Peer::Of(connection);
    peer.LeaveIdle();
    std::weak_ptr<Context> weak = peer.context;
    context->handler(pending.request, [weak, connection, &pending](HttpResponse response) {
      if (auto alive = weak.lock()) Answer(*alive, connection, pending, response);
    });
    MutexLock lock(&context->mutex);
    if (pending.response.has_value()) return MHD_YES;  // Answered at once: called again for it.
    pending.suspended = true;
    context->waiting.insert(connection);
    MHD_suspend_connection(connection);
    return MHD_YES;
  }

  // Any thread. A connection that is suspended cannot end, so it and `pending` are alive.
  static void Answer(Context& context, MHD_Connection* connection, Pending& pending,
                     HttpResponse& response) {
    MutexLock lock(&context.mutex);
    if (context.stopping) return;
    pending.response = std::move(response);
    if (!pending.suspended) return;
    pending.suspended = false;
    context.waiting.erase(connection);
    MHD_resume_connection(connection);
  }

  static MHD_Result Send(MHD_Connection* connection, const HttpResponse& response) {
    Peer::Of(connection).BecomeIdle(connection);
    MHD_Response* raw = MHD_create_response_from_buffer(
        response.body.size(), const_cast<char*>(response.body.data()), MHD_RESPMEM_MUST_COPY);
    if (raw == nullptr) return MHD_NO;
    MHD_add_response_header(raw, "Content-Type", response.content_type.c_str());
    for (const auto& [name, value] : response.headers) {
      MHD_add_response_header(raw, name.c_str(), value.c_str());
    }
    const MHD_Result queued =
        MHD_queue_response(connection, static_cast<unsigned>(response.status), raw);
    MHD_destroy_response(raw);
    return queued;
  }

  static void End(void*, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    delete static_cast<Pending*>(*state);
    *state = nullptr;
  }

  static void Connection(void* closure, MHD_Connection* connection, void** socket_context,
                         MHD_ConnectionNotificationCode code) {
    const auto& context = *static_cast<std::shared_ptr<Context>*>(closure);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      auto* peer = new Peer{context, std::nullopt};
      *socket_context = peer;
      ++context->open;
      MakeRoom(*context);
      peer->BecomeIdle(connection);
    } else {
      auto* peer = static_cast<Peer*>(*socket_context);
      peer->LeaveIdle();
      if (!peer->hung_up) --peer->context->open;
      delete peer;
      *socket_context = nullptr;
    }
  }

  static void MakeRoom(Context& context) {
    if (context.open <= kMaxConnections || context.idle.empty()) return;
    MHD_Connection* oldest = context.idle.front();
    Peer::Of(oldest).HangUp(oldest);
  }
};

namespace {

// Connections that the library still has to close, or that come at one moment.
constexpr unsigned kHangingUp = 64;

struct FreeAddress {
  void operator()(addrinfo* address) const { freeaddrinfo(address); }
};
using AddressPtr = std::unique_ptr<addrinfo, FreeAddress>;

absl::StatusOr<AddressPtr> Resolve(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(fmt::format("'{}' is no HOST:PORT", address));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 1 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                address.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(fmt::format("'{}': {}", address, gai_strerror(error)));
  }
  return AddressPtr(found);
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              Handler handler) {
  ASSIGN_OR_RETURN(const AddressPtr resolved, Resolve(address));
  std::unique_ptr<HttpServer> server(new HttpServer);
  server->context_ = std::make_shared<Context>();
  server->context_->handler = std::move(handler);
  unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
  if (resolved->ai_family == AF_INET6) flags |= MHD_USE_IPv6;
  errno = 0;
  server->daemon_ = MHD_start_daemon(
      flags, 0, nullptr, nullptr, &Callbacks::Handle, server->context_.get(), MHD_OPTION_SOCK_ADDR,
      resolved->ai_addr, MHD_OPTION_CONNECTION_LIMIT, kMaxConnections + kHangingUp,
      MHD_OPTION_CONNECTION_TIMEOUT, kIdleTimeoutSeconds, MHD_OPTION_URI_LOG_CALLBACK,
      &Callbacks::Begin, nullptr, MHD_OPTION_NOTIFY_COMPLETED, &Callbacks::End, nullptr,
      MHD_OPTION_NOTIFY_CONNECTION, &Callbacks::Connection, &server->context_, MHD_OPTION_END);
  if (server->daemon_ == nullptr) {
    return ErrnoError(errno == 0 ? EADDRNOTAVAIL : errno, fmt::format("listen on {}", address));
  }
  const MHD_DaemonInfo* bound = MHD_get_daemon_info(server->daemon_, MHD_DAEMON_INFO_BIND_PORT);
  server->port_ = bound->port;
  return server;
}

HttpServer::~HttpServer() {
  if (daemon_ == nullptr) return;
  {
    MutexLock lock(&context_->mutex);
    context_->stopping = true;
    for (MHD_Connection* connection : context_->waiting) MHD_resume_connection(connection);
    context_->waiting.clear();
  }
  MHD_stop_daemon(daemon_);
}

}  // namespace appsup
