#pragma once

#include <string>

#include "appsupervisor/v1/app.pb.h"
#include "entry/core/catalog.h"
#include "entry/core/violations.h"

namespace appsup::entry {

// Checks what an operator wrote against the rules of app.proto. `path` is where the app is in the
// request ("app"). Nothing stops at the first fault. Pure.
void ValidateApp(const std::string& path, const api::App& app, Violations& violations);

// Whether its placement fits what is there: environments exist and allow the project. An app
// without environments is fine if there is one that it may use or none at all.
void ValidatePlacement(const Catalog& catalog, const std::string& path, const api::App& app,
                       const std::string& project, Violations& violations);

// Rules that other resources share.
void ValidateLabels(const std::string& path,
                    const google::protobuf::Map<std::string, std::string>& labels,
                    Violations& violations);
void ValidateText(const std::string& path, const std::string& text, size_t max_characters,
                  Violations& violations);
// For people's words that may have several lines.
void ValidateLongText(const std::string& path, const std::string& text, size_t max_characters,
                      Violations& violations);
void ValidateReplicas(const std::string& path, int32_t replicas, Violations& violations);

// Parts of ValidateApp, in spec_validation.cc and check_validation.cc.
void ValidateSpec(const std::string& path, const api::AppSpec& spec, Violations& violations);
void ValidateCheck(const std::string& path, const api::Check& check, const api::AppSpec& spec,
                   Violations& violations);

// Used by both. A control character (ASCII's, and those of Unicode's Latin-1 block) could drive the
// terminal on which a value is shown. `lines`: line ends and tabs are fine.
bool HasControl(const std::string& text, bool lines = false);
void ValidateCommand(const std::string& path,
                     const google::protobuf::RepeatedPtrField<std::string>& command,
                     Violations& violations);
void ValidateDuration(const std::string& path, bool is_set,
                      const google::protobuf::Duration& duration, absl::Duration least,
                      absl::Duration most, Violations& violations);

}  // namespace appsup::entry
