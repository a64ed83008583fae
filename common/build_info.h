#pragma once

#ifndef APPSUP_VERSION
#define APPSUP_VERSION "0.1.0"
#endif

namespace appsup {

// Set by the build. What --version prints and what Hello and metrics tell.
inline constexpr char kVersion[] = APPSUP_VERSION;

}  // namespace appsup
