#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "entry/cli/text_table.h"
#include "google/protobuf/map.h"
#include "google/protobuf/message.h"

namespace appsup::cli {

struct RowOptions {
  absl::Time now;
  bool wide = false;
  bool all_projects = false;  // A column for the project.
};

// How resources look in a table. All pure.
std::vector<std::string> TitlesOf(const google::protobuf::Descriptor& type,
                                  const RowOptions& options);
Row RowOf(const google::protobuf::Message& resource, const RowOptions& options);

std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels);

}  // namespace appsup::cli
