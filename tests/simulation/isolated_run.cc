#include "tests/simulation/isolated_run.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/check.h"

namespace appsup::simulation {
namespace {

constexpr char kFieldEnd = '\x1f';

// One process that runs seeds and tells of them, a line each: "begin" and what came of it.
struct Worker {
  pid_t pid = 0;
  int pipe = -1;
  std::string unread;
  uint64_t running = 0;
  bool busy = false;
};

std::string Line(const Outcome& outcome) {
  std::string text = outcome.text;
  std::replace(text.begin(), text.end(), '\n', ' ');
  const char end[] = {kFieldEnd, 0};
  return absl::StrCat("end", end, outcome.seed, end, outcome.promise, end, outcome.steps, end,
                      outcome.hash, end, text, "\n");
}

void WriteAll(int fd, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(fd, text.data() + at, text.size() - at);
    if (written <= 0) _exit(1);
    at += static_cast<size_t>(written);
  }
}

Outcome RunHere(const RunOptions& options) {
  const RunResult result = Simulation(options).Run();
  Outcome outcome{options.seed, -1, result.steps, result.hash, ""};
  if (result.violation) {
    outcome.promise = result.violation->promise;
    outcome.text = Describe(*result.violation);
  }
  return outcome;
}

Worker Begin(const std::function<void(int fd)>& work) {
  int ends[2];
  APPSUP_CHECK(pipe(ends) == 0, "no pipe for a run");
  fflush(stdout);
  Worker worker;
  worker.pid = fork();
  APPSUP_CHECK(worker.pid >= 0, "no process for a run");
  if (worker.pid == 0) {
    close(ends[0]);
    work(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  worker.pipe = ends[0];
  return worker;
}

// Takes in what a worker said; false once it has ended.
bool Read(Worker& worker, const std::function<void(const Outcome&)>& done) {
  char buffer[65536];
  const ssize_t size = read(worker.pipe, buffer, sizeof buffer);
  if (size > 0) worker.unread.append(buffer, static_cast<size_t>(size));
  for (size_t end; (end = worker.unread.find('\n')) != std::string::npos;) {
    const std::vector<std::string> fields = absl::StrSplit(worker.unread.substr(0, end), kFieldEnd);
    worker.unread.erase(0, end + 1);
    worker.busy = fields[0] == "begin";
    if (worker.busy) {
      worker.running = std::stoull(fields[1]);
    } else {
      done({std::stoull(fields[1]), std::stoi(fields[2]), std::stoull(fields[3]),
            std::stoull(fields[4]), fields[5]});
    }
  }
  if (size > 0) return true;
  close(worker.pipe);
  int status = 0;
  waitpid(worker.pid, &status, 0);
  if (worker.busy) {
    const std::string how = WIFSIGNALED(status) ? absl::StrCat("signal ", WTERMSIG(status))
                                                : absl::StrCat("exit code ", WEXITSTATUS(status));
    done({worker.running, 0, 0, 0, absl::StrCat("promise 0: the run ended its process by ", how)});
  }
  return false;
}

}  // namespace

std::string Describe(const Violation& violation) {
  return absl::StrCat("promise ", violation.promise, " at ", FormatTime(violation.at), ": ",
                      violation.seen, " (expected: ", violation.expected, ")");
}

Outcome RunIsolated(const RunOptions& options) {
  Worker worker = Begin([&options](int fd) {
    WriteAll(fd, absl::StrCat("begin", std::string(1, kFieldEnd), options.seed, "\n"));
    WriteAll(fd, Line(RunHere(options)));
  });
  Outcome outcome;
  while (Read(worker, [&outcome](const Outcome& one) { outcome = one; })) {
  }
  return outcome;
}

void RunMany(uint64_t first, uint64_t last, int jobs, const std::function<bool()>& stop,
             const std::function<void(const Outcome&)>& done) {
  std::vector<Worker> workers;
  const auto step = static_cast<uint64_t>(jobs);
  const auto begin = [&](uint64_t from) {
    return Begin([from, last, step, &stop](int fd) {
      for (uint64_t seed = from; seed <= last && !stop(); seed += step) {
        WriteAll(fd, absl::StrCat("begin", std::string(1, kFieldEnd), seed, "\n"));
        WriteAll(fd, Line(RunHere({seed, std::nullopt, false})));
      }
    });
  };
  for (uint64_t job = 0; job < step; ++job) workers.push_back(begin(first + job));
  while (!workers.empty()) {
    std::vector<pollfd> polled;
    for (const Worker& worker : workers) polled.push_back({worker.pipe, POLLIN, 0});
    poll(polled.data(), polled.size(), -1);
    for (size_t i = workers.size(); i-- > 0;) {
      if (polled[i].revents == 0 || Read(workers[i], done)) continue;
      // One that was ended by a seed is followed by another.
      const Worker ended = workers[i];
      workers.erase(workers.begin() + static_cast<std::ptrdiff_t>(i));
      if (ended.busy && ended.running + step <= last)
        workers.push_back(begin(ended.running + step));
    }
  }
}

}  // namespace appsup::simulation
