#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "entry/cli/manifest_faults.h"
#include "entry/cli/manifest_words.h"
#include "google/protobuf/message.h"

namespace appsup::cli {

// Reads one YAML document into a message by walking its descriptors. Used by manifest.cc only; the
// caller catches yaml-cpp's exceptions.
class ManifestReader {
 public:
  ManifestReader(std::string file, ManifestFaults& faults)
      : file_(std::move(file)), faults_(faults) {}

  // Keys in `passed_over` are the caller's. What is wrong becomes a fault; the rest is set.
  void ReadTop(const YAML::Node& map, const std::vector<std::string>& passed_over,
               google::protobuf::Message* message);

  void Note(const YAML::Mark& mark, std::string what);
  Place PlaceAt(const YAML::Mark& mark) const;

  // What was named, by path.
  const std::map<std::string, Place>& fields() const { return fields_; }
  const std::string& artifact_file() const { return artifact_file_; }

 private:
  // A value and where it goes.
  struct Slot {
    google::protobuf::Message* message;
    const google::protobuf::FieldDescriptor* field;
    std::string path;  // "spec.ports[0].name"
    Unit unit = Unit::kNone;
  };

  void ReadKeys(const YAML::Node& map, const std::vector<std::string>& passed_over,
                const std::string& path, Unit unit, google::protobuf::Message* message);
  void ReadKey(const YAML::Node& key, const YAML::Node& value, const std::string& path, Unit unit,
               google::protobuf::Message* message, std::map<std::string, YAML::Mark>* choices);
  void NoteUnknownKey(const YAML::Node& key, const std::string& path,
                      const google::protobuf::Descriptor& type);
  // False, and a fault, if another arm of the same choice came before.
  bool TakeArm(const YAML::Node& key, const std::string& choice, const std::string& arm,
               std::map<std::string, YAML::Mark>* choices);
  void ReadArtifactFile(const YAML::Node& value, const std::string& path);

  void ReadValue(const YAML::Node& value, const Slot& slot);
  void ReadMessage(const YAML::Node& value, const Slot& slot, google::protobuf::Message* message);
  void ReadDuration(const YAML::Node& value, const Slot& slot, google::protobuf::Message* duration);
  void ReadAmount(const YAML::Node& value, const Slot& slot, google::protobuf::Message* amount);
  void ReadMap(const YAML::Node& value, const Slot& slot);
  void ReadList(const YAML::Node& value, const Slot& slot);
  void ReadScalar(const YAML::Node& value, const Slot& slot);
  void ReadEnum(const YAML::Node& value, const Slot& slot);
  std::optional<int64_t> ReadNumber(const YAML::Node& value, const std::string& path, Unit unit,
                                    int64_t min, int64_t max);
  std::optional<std::string> ReadText(const YAML::Node& value, const std::string& path);
  void NoteWrong(const YAML::Node& value, const std::string& path, const std::string& allowed);

  const std::string file_;
  ManifestFaults& faults_;
  std::map<std::string, Place> fields_;
  std::string artifact_file_;
};

}  // namespace appsup::cli
