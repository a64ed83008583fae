#include "agent/artifact/worker_pool.h"

#include <utility>

namespace appsup::agent {

WorkerPool::~WorkerPool() {
  std::vector<std::thread> threads;
  std::deque<Task> dropped;  // Destroyed outside of the lock.
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    threads.swap(threads_);
    dropped.swap(tasks_);
    changed_.SignalAll();
  }
  for (std::thread& thread : threads) thread.join();
}

void WorkerPool::Submit(Task task) {
  MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
  if (tasks_.size() > idle_ && threads_.size() < limit_) {
    threads_.emplace_back([this] { Work(); });
  }
  changed_.Signal();
}

void WorkerPool::Work() {
  for (;;) {
    Task task;
    {
      MutexLock lock(&mutex_);
      ++idle_;
      while (tasks_.empty() && !stopping_) changed_.Wait(&mutex_);
      --idle_;
      if (stopping_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace appsup::agent
