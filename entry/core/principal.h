#pragma once

#include <string>

namespace appsup::entry {

// What a principal may do; each role includes those before it.
enum class Role { kViewer, kDeployer, kOperator, kAdmin };

// Who makes a call. Decided by entry/security, never by what a message says.
struct Principal {
  std::string name;  // "local:root", "token:admin", "node:n1".
  Role role = Role::kViewer;
  std::string project;  // Only this project; empty: all.
};

}  // namespace appsup::entry
