// How a test kills a program at step n, with APPSUP_STEPS=FOLDER in the program's environment:
// it makes FOLDER/PROGRAM with two numbers, a run (a new number each time) and n (0: only count).
// Each step from then on adds "run number name" to FOLDER/PROGRAM.log. Before it dies, the program
// takes the file away, so that the next start lives on.
#include "common/step_switch.h"

#include <cxxabi.h>
#include <errno.h>  // program_invocation_short_name
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace appsup {
namespace {

struct Armed {
  int run = 0;
  int stop_at = 0;
};

bool Read(const std::string& path, Armed* armed) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "re"), fclose);
  return file != nullptr && fscanf(file.get(), "%d %d", &armed->run, &armed->stop_at) == 2;
}

void Tell(const std::string& path, int run, int number, const char* step) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "ae"), fclose);
  if (file != nullptr) fprintf(file.get(), "%d %d %s\n", run, number, step);
}

}  // namespace

void StepSwitch::Reached(const char* step) {
  static std::mutex mutex;
  static int run = 0;
  static int count = 0;
  const char* folder = getenv("APPSUP_STEPS");
  if (folder == nullptr) return;
  const std::string path = std::string(folder) + "/" + program_invocation_short_name;
  const std::lock_guard lock(mutex);
  Armed armed;
  if (!Read(path, &armed)) return;
  if (armed.run != run) count = 0;
  run = armed.run;
  Tell(path + ".log", run, ++count, step);
  if (count != armed.stop_at) return;
  unlink(path.c_str());
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

void StepSwitch::Reached(const std::type_info& kind) {
  int error = 0;
  const std::unique_ptr<char, void (*)(void*)> whole(
      abi::__cxa_demangle(kind.name(), nullptr, nullptr, &error), free);
  const std::string name = error == 0 ? whole.get() : kind.name();
  Reached(name.substr(name.rfind(':') + 1).c_str());
}

}  // namespace appsup
