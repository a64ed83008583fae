// The bare reference for starting processes: `spawn_bench COUNT` starts COUNT times `sleep 1000` in
// a posix_spawn loop and prints the seconds that it took. They are killed before it ends.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1000;
  char program[] = "/bin/sleep";
  char seconds[] = "1000";
  char* arguments[] = {program, seconds, nullptr};
  char* environment[] = {nullptr};
  std::vector<pid_t> children;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    pid_t pid = 0;
    if (posix_spawn(&pid, program, nullptr, nullptr, arguments, environment) != 0) break;
    children.push_back(pid);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  for (pid_t child : children) kill(child, SIGKILL);
  for (pid_t child : children) waitpid(child, nullptr, 0);
  if (children.size() != static_cast<size_t>(count)) {
    std::perror("posix_spawn");
    return 1;
  }
  std::printf("%.6f\n", took.count());
  return 0;
}
