#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <vector>

namespace appsup {

// YAML::LoadAll, but always ends: yaml-cpp 0.7 makes empty documents for ever, until memory is used
// up, where a stray comma follows a document ("9\n,"). Here that is a YAML::ParserException, like
// every other fault of the text; the caller catches it.
std::vector<YAML::Node> LoadYamlDocuments(const std::string& text);

}  // namespace appsup
