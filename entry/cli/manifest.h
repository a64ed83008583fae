#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "entry/cli/manifest_faults.h"
#include "google/protobuf/message.h"

namespace appsup::cli {

struct ManifestText {
  std::string file;  // As it is told in faults.
  std::string text;
};

// One document: a resource that someone wants.
struct Manifest {
  std::string kind;                                     // App, Environment, Node or Project.
  std::unique_ptr<google::protobuf::Message> resource;  // Of that type; its name is a full one.
  std::string artifact_file;  // spec.artifact.file, to be pushed and set as spec.artifact.blob.
  Place place;                // Of the document.
  std::map<std::string, Place> fields;  // What it names: "spec.ports[0].name" -> where.

  std::string name() const;
  bool Names(const std::string& path) const { return fields.contains(path); }

  // Where a field is that the entry complains about ("app.spec.ports[0].number"), or where what
  // holds it is.
  const Place& PlaceOf(const std::string& violated_field) const;
};

// Reads all documents of all texts. Short app names belong to `project`. INVALID_ARGUMENT (see
// ManifestFaults) with every fault in them: unknown and duplicate keys, wrong types, words that an
// enum has not, two arms of a choice, no kind or name, fields of later releases, a resource twice.
absl::StatusOr<std::vector<Manifest>> ReadManifests(const std::vector<ManifestText>& texts,
                                                    const std::string& project);

}  // namespace appsup::cli
