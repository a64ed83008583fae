#pragma once

#include <optional>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace appsup::cli {

// What manifests say otherwise than the API does: short names, units, words of enums, keys that are
// refused or passed over. Everything else follows from the descriptors. The reader and the writer
// both rest on this, so that one reads what the other wrote.

enum class Unit { kNone, kCpu, kBytes };  // Of a number: 500m, 512Mi.

struct KeyMeaning {
  const google::protobuf::FieldDescriptor* field;
  Unit unit;
};

// `cpu` and `cpu_millis` in Resources are one field; only the first has a unit.
std::optional<KeyMeaning> MeaningOfKey(const google::protobuf::Descriptor& type,
                                       const std::string& key);

// How the writer calls a field: by its short name where there is one.
std::string KeyOfField(const google::protobuf::FieldDescriptor& field);

// What may be written in a message of this type, sorted by number.
std::vector<std::string> KeysOf(const google::protobuf::Descriptor& type);

// Set by the system: read and dropped, so that what `get -o yaml` wrote can be applied.
bool IsOutputOnly(const google::protobuf::FieldDescriptor& field);

// A field of a later release of the API: refused by name.
bool IsLaterKey(const google::protobuf::Descriptor& type, const std::string& key);
bool IsLaterKind(const std::string& kind);

// `data: NODE` stands for `data: {kind: NODE}`: the field, or nullptr.
const google::protobuf::FieldDescriptor* FieldOfScalar(const google::protobuf::Descriptor& type);

// `memory: 512Mi` stands for reserve and limit.
bool IsAmount(const google::protobuf::Descriptor& type);

// A local file or folder as the source of an artifact; no field of the API.
inline constexpr char kArtifactFileKey[] = "file";
bool IsArtifactFile(const google::protobuf::Descriptor& type, const std::string& key);

// RUN_STATE_RUNNING -> RUNNING.
std::string ShortWord(const google::protobuf::EnumValueDescriptor& value);
// By the short or the full word, in any case; never the one that means "unspecified".
const google::protobuf::EnumValueDescriptor* FindWord(const google::protobuf::EnumDescriptor& type,
                                                      const std::string& word);
std::vector<std::string> WordsOf(const google::protobuf::EnumDescriptor& type);

// The one of `allowed` that `word` is most likely a slip of; empty if none is near.
std::string NearestWord(const std::string& word, const std::vector<std::string>& allowed);

}  // namespace appsup::cli
