// appsup-keeper-config FILE: checks keeper.yaml and writes it to standard output as a PolicyRecord.
// Started by appsup-keeper; of no use by itself.

#include <unistd.h>

#include <cstdio>
#include <string>

#include "agent/keeper/config/config.h"

int main(int argc, char** argv) {
  if (argc != 2 || isatty(STDOUT_FILENO) != 0) {
    fputs(
        "appsup-keeper-config is run by appsup-keeper; use: appsup-keeper --check-config "
        "--config FILE\n",
        stderr);
    return 2;
  }
  auto policy = appsup::keeper::ReadPolicy(argv[1]);
  if (!policy.ok()) {
    std::string message(policy.status().message());
    fprintf(stderr, "appsup-keeper: %s\n", message.c_str());
    return 1;
  }
  std::string record = appsup::keeper::ToRecord(*policy).SerializeAsString();
  bool written = fwrite(record.data(), 1, record.size(), stdout) == record.size();
  return written && fflush(stdout) == 0 ? 0 : 1;
}
