#include "common/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"

namespace appsup {
namespace {

std::unique_ptr<EventLoop> NewLoop() {
  auto loop = EventLoop::Create();
  REQUIRE(loop.ok());
  return *std::move(loop);
}

absl::Duration BootNow() { return SystemClock().Now().boot; }

// Both ends of a socket, which a Watch can find readable.
class SocketPair {
 public:
  SocketPair() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_) == 0); }
  ~SocketPair() {
    close(fds_[0]);
    close(fds_[1]);
  }
  int near() const { return fds_[0]; }
  void Send() { REQUIRE(write(fds_[1], "x", 1) == 1); }
  void Receive() {
    char c;
    REQUIRE(read(fds_[0], &c, 1) == 1);
  }

 private:
  int fds_[2];
};

}  // namespace

TEST_CASE("event loop: posted tasks run in order, in the loop thread") {
  auto loop = NewLoop();
  std::vector<int> order;
  bool inside = false;
  for (int i = 0; i < 5; ++i) loop->Post([&order, i] { order.push_back(i); });
  loop->Post([&] { inside = loop->InLoopThread(); });
  loop->Post([&] { loop->Stop(); });
  CHECK_FALSE(loop->InLoopThread());
  loop->Run();
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
  CHECK(inside);
  CHECK_FALSE(loop->InLoopThread());
}

TEST_CASE("event loop: takes posts of many threads while it runs, each exactly once") {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  auto loop = NewLoop();
  int ran = 0;
  std::vector<int> next_of(kThreads, 0);
  bool ordered = true;
  std::vector<std::thread> posters;
  for (int t = 0; t < kThreads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        loop->Post([&, t, i] {
          ordered = ordered && next_of[t]++ == i;
          if (++ran == kThreads * kPosts) loop->Stop();
        });
      }
    });
  }
  loop->Run();
  for (std::thread& poster : posters) poster.join();
  CHECK(ran == kThreads * kPosts);
  CHECK(ordered);
}

TEST_CASE("event loop: Stop from another thread wakes an idle loop, and Run works again") {
  auto loop = NewLoop();
  for (int i = 0; i < 3; ++i) {
    std::thread stopper([&] { loop->Stop(); });
    loop->Run();
    stopper.join();
  }
  bool ran = false;
  loop->Post([&] { ran = true; });
  loop->Stop();
  loop->Run();
  CHECK(ran);
}

TEST_CASE("event loop: tasks that never ran are destroyed with the loop") {
  auto loop = NewLoop();
  auto token = std::make_shared<int>(0);
  loop->Post([token] {});
  loop->AddTimer(absl::InfiniteDuration(), [token] {});
  CHECK(token.use_count() == 3);
  loop.reset();
  CHECK(token.use_count() == 1);
}

TEST_CASE("event loop: a readable fd calls back until it is drained") {
  auto loop = NewLoop();
  SocketPair pair;
  int calls = 0;
  REQUIRE(loop->Watch(pair.near(), EPOLLIN,
                      [&](uint32_t events) {
                        CHECK((events & EPOLLIN) != 0);
                        if (++calls < 3) return;
                        pair.Receive();
                        loop->Stop();
                      })
              .ok());
  pair.Send();
  loop->Run();
  CHECK(calls == 3);
}

TEST_CASE("event loop: Modify changes what is waited for") {
  auto loop = NewLoop();
  SocketPair pair;
  uint32_t seen = 0;
  REQUIRE(loop->Watch(pair.near(), 0,
                      [&](uint32_t events) {
                        seen = events;
                        loop->Stop();
                      })
              .ok());
  REQUIRE(loop->Modify(pair.near(), EPOLLOUT).ok());
  loop->Run();
  CHECK(seen == EPOLLOUT);
}

TEST_CASE("event loop: a callback may unwatch itself and others that are ready too") {
  auto loop = NewLoop();
  SocketPair first;
  SocketPair second;
  int calls = 0;
  auto once = [&](uint32_t) {
    ++calls;
    loop->Unwatch(first.near());
    loop->Unwatch(second.near());
    loop->Post([&] { loop->Stop(); });
  };
  REQUIRE(loop->Watch(first.near(), EPOLLIN, once).ok());
  REQUIRE(loop->Watch(second.near(), EPOLLIN, once).ok());
  first.Send();
  second.Send();
  loop->Run();
  CHECK(calls == 1);
}

TEST_CASE("event loop: refuses a second watch, a bad fd and a change of an unknown one") {
  auto loop = NewLoop();
  SocketPair pair;
  REQUIRE(loop->Watch(pair.near(), EPOLLIN, [](uint32_t) {}).ok());
  CHECK(loop->Watch(pair.near(), EPOLLIN, [](uint32_t) {}).code() ==
        absl::StatusCode::kAlreadyExists);
  CHECK_FALSE(loop->Watch(-1, EPOLLIN, [](uint32_t) {}).ok());
  CHECK(loop->Modify(-1, EPOLLIN).code() == absl::StatusCode::kNotFound);
  loop->Unwatch(pair.near());
  CHECK(loop->Watch(pair.near(), EPOLLIN, [](uint32_t) {}).ok());
}

TEST_CASE("event loop: timers run by deadline, at the deadline or later, once") {
  auto loop = NewLoop();
  std::vector<std::string> order;
  const absl::Duration now = BootNow();
  absl::Duration ran_at;
  loop->AddTimer(now + absl::Milliseconds(30), [&] {
    order.push_back("last");
    ran_at = BootNow();
    loop->Stop();
  });
  loop->AddTimer(now + absl::Milliseconds(10), [&] { order.push_back("middle"); });
  loop->AddTimer(absl::ZeroDuration(), [&] { order.push_back("past"); });
  loop->Run();
  CHECK(order == std::vector<std::string>{"past", "middle", "last"});
  CHECK(ran_at >= now + absl::Milliseconds(30));
}

TEST_CASE("event loop: a cancelled timer does not run, also when it is due already") {
  auto loop = NewLoop();
  bool ran = false;
  EventLoop::TimerId victim = 0;
  loop->AddTimer(absl::ZeroDuration(), [&] {
    CHECK(loop->CancelTimer(victim));
    CHECK_FALSE(loop->CancelTimer(victim));
    loop->Stop();
  });
  victim = loop->AddTimer(absl::Nanoseconds(1), [&] { ran = true; });
  CHECK_FALSE(loop->CancelTimer(4711));
  loop->Run();
  CHECK_FALSE(ran);
}

TEST_CASE("event loop: a timer that always adds a past one starves nobody") {
  auto loop = NewLoop();
  int rounds = 0;
  std::function<void()> again = [&] {
    ++rounds;
    loop->AddTimer(absl::ZeroDuration(), [&] { again(); });
    if (rounds == 3) loop->Post([&] { loop->Stop(); });
  };
  loop->Post([&] { again(); });
  loop->Run();
  CHECK(rounds >= 3);
  CHECK(rounds < 10);
}

TEST_CASE("event loop: an idle loop uses no processor time") {
  auto loop = NewLoop();
  SocketPair pair;
  REQUIRE(loop->Watch(pair.near(), EPOLLIN, [](uint32_t) {}).ok());
  const absl::Duration now = BootNow();
  loop->AddTimer(now + absl::Milliseconds(1), [] {});
  EventLoop::TimerId cancelled = loop->AddTimer(now + absl::Milliseconds(2), [] {});
  loop->AddTimer(absl::ZeroDuration(), [&] { loop->CancelTimer(cancelled); });
  loop->AddTimer(now + absl::Milliseconds(200), [&] { loop->Stop(); });
  timespec before{};
  timespec after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  loop->Run();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  CHECK(absl::DurationFromTimespec(after) - absl::DurationFromTimespec(before) <
        absl::Milliseconds(50));
}

TEST_CASE("mutex: CondVar times out and is woken") {
  Mutex mutex;
  CondVar condition;
  bool ready = false;
  {
    MutexLock lock(&mutex);
    while (condition.WaitFor(&mutex, absl::Milliseconds(1))) {
    }
  }
  std::thread setter([&] {
    MutexLock lock(&mutex);
    ready = true;
    condition.SignalAll();
  });
  {
    MutexLock lock(&mutex);
    while (!ready) condition.WaitFor(&mutex, absl::InfiniteDuration());
  }
  setter.join();
  CHECK(ready);
}

}  // namespace appsup
