#pragma once

#include <initializer_list>
#include <string>
#include <utility>

namespace appsup::keeper {

// One line on standard error, in the form of common/log.h, which is too large for the keeper:
// `2026-01-31T12:00:00.000Z info process-exited instance=… code=0`. `level` is info, warning or
// error. What cannot be written is lost.
void Report(const char* level, const char* event,
            std::initializer_list<std::pair<const char*, std::string>> fields = {});

}  // namespace appsup::keeper
