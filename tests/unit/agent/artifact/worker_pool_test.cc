#include "agent/artifact/worker_pool.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

namespace appsup::agent {
namespace {

TEST_CASE("worker pool: all tasks run, as many at one time as there are threads") {
  // Each of the first two can only end when the other has begun.
  std::promise<void> first;
  std::promise<void> second;
  std::promise<void> done;
  std::atomic<int> ran{0};
  const auto count = [&] {
    if (++ran == 102) done.set_value();
  };
  WorkerPool pool(2);
  pool.Submit([&] {
    first.set_value();
    second.get_future().wait();
    count();
  });
  pool.Submit([&] {
    second.set_value();
    first.get_future().wait();
    count();
  });
  for (int i = 0; i < 100; ++i) pool.Submit(count);
  CHECK(done.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready);
}

TEST_CASE("worker pool: its end waits for what runs and drops what does not") {
  std::promise<void> begun;
  std::promise<void> go;
  std::atomic<int> ran{0};
  std::thread releaser;
  {
    WorkerPool pool(1);
    pool.Submit([&] {
      begun.set_value();
      go.get_future().wait();
      ++ran;
    });
    begun.get_future().wait();
    pool.Submit([&] { ran += 100; });
    releaser = std::thread([&] { go.set_value(); });
    releaser.join();
  }
  // The second may have begun before the end did.
  CHECK((ran == 1 || ran == 101));
}

}  // namespace
}  // namespace appsup::agent
