#include "agent/probe/http_probe.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "agent/probe/failure_text.h"
#include "common/check.h"
#include "common/log.h"
#include "common/text_units.h"

namespace appsup::agent {
namespace {

constexpr long kBufferBytes = 4096;  // Of a handle; answers to checks are small.

struct Request {
  uint64_t id = 0;
  std::string url;
  StatusExpectation expect;
  absl::Duration timeout;
  size_t body_bytes = 0;
  size_t max_body_bytes = 0;
  char error[CURL_ERROR_SIZE] = {};
  HttpProbe::Done done;
};

uint32_t EpollEvents(int what) {
  switch (what) {
    case CURL_POLL_IN:
      return EPOLLIN;
    case CURL_POLL_OUT:
      return EPOLLOUT;
    default:
      return EPOLLIN | EPOLLOUT;
  }
}

// Ends the transfer when enough was read; the status is known by then.
size_t OnBody(char*, size_t size, size_t count, void* user) {
  auto* request = static_cast<Request*>(user);
  request->body_bytes += size * count;
  return request->body_bytes > request->max_body_bytes ? 0 : size * count;
}

std::string Failure(CURL* easy, CURLcode result, const Request& request) {
  long code = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
  if (result == CURLE_OK || (result == CURLE_WRITE_ERROR && code != 0)) {
    if (request.expect.Matches(static_cast<int>(code))) return "";
    return "status " + std::to_string(code) + ", expected " + request.expect.text();
  }
  if (result == CURLE_OPERATION_TIMEDOUT) {
    return "no answer within " + FormatDuration(request.timeout);
  }
  if (result == CURLE_GOT_NOTHING) return "the connection was closed without an answer";
  long error_number = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error_number);
  if (result == CURLE_COULDNT_CONNECT && error_number != 0) {
    return ErrnoText(static_cast<int>(error_number));
  }
  return request.error[0] != '\0' ? request.error : curl_easy_strerror(result);
}

}  // namespace

struct HttpProbe::State {
  State(EventLoop& loop_in, Clock& clock_in, size_t max_body_bytes_in)
      : loop(loop_in), clock(clock_in), max_body_bytes(max_body_bytes_in) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    APPSUP_CHECK(multi != nullptr, "curl_multi_init: out of memory");
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, OnSocket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, OnTimer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  }

  ~State() {
    while (!running.empty()) Release(running.begin()->first);
    for (CURL* easy : idle) curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
    loop.CancelTimer(timer);
    curl_global_cleanup();
  }

  static int OnSocket(CURL*, curl_socket_t fd, int what, void* user, void*) {
    auto* self = static_cast<State*>(user);
    if (what == CURL_POLL_REMOVE) {
      self->Unwatch(fd);
      return 0;
    }
    absl::Status status;
    if (self->watched.insert(fd).second) {
      status = self->loop.Watch(fd, EpollEvents(what), [self, fd](uint32_t events) {
        int mask = 0;
        if (events & EPOLLIN) mask |= CURL_CSELECT_IN;
        if (events & EPOLLOUT) mask |= CURL_CSELECT_OUT;
        if (events & (EPOLLERR | EPOLLHUP)) mask |= CURL_CSELECT_ERR;
        self->Act(fd, mask);
      });
    } else {
      status = self->loop.Modify(fd, EpollEvents(what));
    }
    // The request's own timeout ends it.
    if (!status.ok()) Log(LogLevel::kWarning, "probe-watch-failed", {{"error", status}});
    return 0;
  }

  static int OnTimer(CURLM*, long timeout_ms, void* user) {
    auto* self = static_cast<State*>(user);
    self->loop.CancelTimer(self->timer);
    self->timer = 0;
    if (timeout_ms < 0) return 0;
    self->timer =
        self->loop.AddTimer(self->clock.Now().boot + absl::Milliseconds(timeout_ms), [self] {
          self->timer = 0;
          self->Act(CURL_SOCKET_TIMEOUT, 0);
        });
    return 0;
  }

  // libcurl may close a socket and get the same number again without a POLL_REMOVE in between.
  static int OnClose(void* user, curl_socket_t fd) {
    static_cast<State*>(user)->Unwatch(fd);
    return close(fd);
  }

  void Unwatch(int fd) {
    if (watched.erase(fd) > 0) loop.Unwatch(fd);
  }

  void Act(curl_socket_t fd, int mask) {
    int still_running = 0;
    curl_multi_socket_action(multi, fd, mask, &still_running);
    int left = 0;
    // One at a time: `done` may cancel a request whose message comes next; removing its handle
    // takes that message away.
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) Finish(message->easy_handle, message->data.result);
    }
  }

  void Finish(CURL* easy, CURLcode result) {
    const auto found = running.find(easy);
    if (found == running.end()) return;
    std::string failure = Failure(easy, result, *found->second);
    if (!failure.empty()) failure = "GET " + found->second->url + ": " + failure;
    Done done = std::move(found->second->done);
    Release(easy);
    done(std::move(failure));
  }

  void Release(CURL* easy) {
    curl_multi_remove_handle(multi, easy);
    ids.erase(running.at(easy)->id);
    curl_easy_reset(easy);
    running.erase(easy);
    if (idle.size() < kMaxIdleHandles) {
      idle.push_back(easy);
    } else {
      curl_easy_cleanup(easy);
    }
  }

  CURL* TakeHandle() {
    if (!idle.empty()) {
      CURL* easy = idle.back();
      idle.pop_back();
      return easy;
    }
    CURL* easy = curl_easy_init();
    APPSUP_CHECK(easy != nullptr, "curl_easy_init: out of memory");
    return easy;
  }

  void Configure(CURL* easy, Request& request) {
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "appsup-check");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kBufferBytes);
    const int64_t timeout_ms = std::max<int64_t>(1, absl::ToInt64Milliseconds(request.timeout));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request.error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, OnBody);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &request);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, OnClose);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
  }

  EventLoop& loop;
  Clock& clock;
  const size_t max_body_bytes;
  CURLM* multi = nullptr;
  EventLoop::TimerId timer = 0;
  uint64_t next_id = 1;
  std::set<int> watched;
  std::map<CURL*, std::unique_ptr<Request>> running;
  std::map<uint64_t, CURL*> ids;
  std::vector<CURL*> idle;  // At most kMaxIdleHandles.
};

HttpProbe::HttpProbe(EventLoop& loop, Clock& clock, size_t max_body_bytes)
    : state_(std::make_unique<State>(loop, clock, max_body_bytes)) {}

HttpProbe::~HttpProbe() = default;

uint64_t HttpProbe::Start(const ProbeSpec& spec, Done done) {
  auto request = std::make_unique<Request>();
  request->id = state_->next_id++;
  request->url = "http://" + HostPort(spec.address, spec.port) + spec.path;
  request->expect = spec.expect;
  request->timeout = spec.timeout;
  request->max_body_bytes = state_->max_body_bytes;
  request->done = std::move(done);
  const uint64_t id = request->id;
  CURL* easy = state_->TakeHandle();
  state_->Configure(easy, *request);
  state_->ids.emplace(id, easy);
  state_->running.emplace(easy, std::move(request));
  // Only sets a timer: the transfer begins in the next round of the loop.
  const CURLMcode added = curl_multi_add_handle(state_->multi, easy);
  APPSUP_CHECK(added == CURLM_OK, curl_multi_strerror(added));
  return id;
}

void HttpProbe::Cancel(uint64_t id) {
  if (const auto found = state_->ids.find(id); found != state_->ids.end()) {
    state_->Release(found->second);
  }
}

}  // namespace appsup::agent
