#pragma once

#include <cctype>
#include <cstring>
#include <string>

namespace appsup::agent {

// "connection refused": what the system calls an errno, as the end of a sentence.
inline std::string ErrnoText(int error_number) {
  const char* text = strerrordesc_np(error_number);
  std::string result = text != nullptr ? text : "error " + std::to_string(error_number);
  // "I/O error" and the like stay as they are.
  if (result.size() > 1 && std::islower(static_cast<unsigned char>(result[1]))) {
    result[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(result[0])));
  }
  return result;
}

// "127.0.0.1:80", "[::1]:80".
inline std::string HostPort(const std::string& address, int port) {
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

}  // namespace appsup::agent
