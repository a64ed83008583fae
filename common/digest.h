#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace appsup {

// Lower-case hex, 64 characters.
std::string Sha256Hex(std::string_view bytes);

// The same in pieces: Update any number of times, then Finish once. One thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::string_view bytes);
  std::string FinishHex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace appsup
