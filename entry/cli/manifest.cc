#include "entry/cli/manifest.h"

#include <algorithm>
#include <optional>

#include "appsupervisor/v1/app.pb.h"
#include "appsupervisor/v1/environment.pb.h"
#include "appsupervisor/v1/node.pb.h"
#include "appsupervisor/v1/project.pb.h"
#include "common/resource_name.h"
#include "common/yaml_documents.h"
#include "entry/cli/manifest_reader.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;
using google::protobuf::Message;

struct Kind {
  std::string name;
  std::string pattern;  // Of its resources' names; the last '*' is the short name.
  const Message& (*prototype)();
};

template <class Resource>
const Message& Prototype() {
  return Resource::default_instance();
}

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = {
      {"App", "projects/*/apps/*", Prototype<v1::App>},
      {"Environment", "environments/*", Prototype<v1::Environment>},
      {"Node", "nodes/*", Prototype<v1::Node>},
      {"Project", "projects/*", Prototype<v1::Project>},
  };
  return kinds;
}

const Kind* FindKind(const std::string& name) {
  for (const Kind& kind : Kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

YAML::Node Find(const YAML::Node& map, const std::string& key) {
  for (const auto& entry : map) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

const Kind* ReadKind(const YAML::Node& document, ManifestReader& reader) {
  std::vector<std::string> names;
  for (const Kind& kind : Kinds()) names.push_back(kind.name);
  const std::string allowed = fmt::format("{}", fmt::join(names, ", "));
  const YAML::Node node = Find(document, "kind");
  if (!node.IsDefined() || !node.IsScalar()) {
    reader.Note(node.IsDefined() ? node.Mark() : document.Mark(),
                fmt::format("kind is missing; it says what this document is: {}", allowed));
    return nullptr;
  }
  const Kind* kind = FindKind(node.Scalar());
  if (kind != nullptr) return kind;
  if (IsLaterKind(node.Scalar())) {
    reader.Note(node.Mark(), fmt::format("kind {} is not in this release, only in later ones; "
                                         "allowed: {}",
                                         node.Scalar(), allowed));
    return nullptr;
  }
  const std::string nearest = NearestWord(node.Scalar(), names);
  reader.Note(node.Mark(),
              fmt::format("kind \"{}\" cannot be applied{}; allowed: {}", node.Scalar(),
                          nearest.empty() ? "" : "; did you mean " + nearest + "?", allowed));
  return nullptr;
}

// The full name, or empty with a fault.
std::string ReadName(const YAML::Node& document, const Kind& kind, const std::string& project,
                     ManifestReader& reader) {
  const YAML::Node node = Find(document, "name");
  if (!node.IsDefined() || !node.IsScalar()) {
    reader.Note(node.IsDefined() ? node.Mark() : document.Mark(),
                fmt::format("name is missing; an {} needs one, such as \"crm\" or \"{}\"",
                            kind.name, kind.pattern));
    return "";
  }
  const std::string& text = node.Scalar();
  if (MatchName(kind.pattern, text).has_value()) return text;
  if (!IsValidId(text)) {
    reader.Note(node.Mark(),
                fmt::format("name \"{}\" is no valid name; allowed: lower-case letters, digits and "
                            "'-', beginning with a letter, at most 63 characters, or the full form "
                            "{}",
                            text, kind.pattern));
    return "";
  }
  if (kind.name == "App") return FormatName(kind.pattern, {project, text});
  return FormatName(kind.pattern, {text});
}

void ReadDocument(const YAML::Node& document, const std::string& file, const std::string& project,
                  ManifestFaults& faults, std::vector<Manifest>* manifests) {
  ManifestReader reader(file, faults);
  if (document.IsNull()) return;
  if (!document.IsMap()) {
    reader.Note(document.Mark(), "a document must be a mapping that begins with kind and name");
    return;
  }
  const Kind* kind = ReadKind(document, reader);
  if (kind == nullptr) return;
  Manifest manifest;
  manifest.kind = kind->name;
  manifest.place = reader.PlaceAt(document.Mark());
  manifest.resource.reset(kind->prototype().New());
  const std::string name = ReadName(document, *kind, project, reader);
  reader.ReadTop(document, {"kind", "name"}, manifest.resource.get());
  const auto* name_field = manifest.resource->GetDescriptor()->FindFieldByName("name");
  manifest.resource->GetReflection()->SetString(manifest.resource.get(), name_field, name);
  manifest.fields = reader.fields();
  manifest.artifact_file = reader.artifact_file();
  for (const Manifest& other : *manifests) {
    if (other.kind == manifest.kind && other.name() == name && !name.empty()) {
      reader.Note(document.Mark(), fmt::format("{} {} is given already at {}; keep one", kind->name,
                                               name, other.place.Text()));
    }
  }
  manifests->push_back(std::move(manifest));
}

}  // namespace

std::string Manifest::name() const {
  const auto* field = resource->GetDescriptor()->FindFieldByName("name");
  return resource->GetReflection()->GetString(*resource, field);
}

const Place& Manifest::PlaceOf(const std::string& violated_field) const {
  // The first part is the request's field: "app." or "environment.".
  const size_t dot = violated_field.find('.');
  std::string path = dot == std::string::npos ? "" : violated_field.substr(dot + 1);
  while (!path.empty()) {
    const auto found = fields.find(path);
    if (found != fields.end()) return found->second;
    const size_t cut = path.find_last_of(".[");
    path = cut == std::string::npos ? "" : path.substr(0, cut);
  }
  return place;
}

absl::StatusOr<std::vector<Manifest>> ReadManifests(const std::vector<ManifestText>& texts,
                                                    const std::string& project) {
  ManifestFaults faults;
  std::vector<Manifest> manifests;
  for (const ManifestText& text : texts) {
    // The one place of manifests where yaml-cpp's exceptions end.
    try {
      for (const YAML::Node& document : LoadYamlDocuments(text.text)) {
        ReadDocument(document, text.file, project, faults, &manifests);
      }
    } catch (const YAML::Exception& error) {
      faults.Add({text.file, error.mark.line + 1, error.mark.column + 1},
                 "not valid YAML: " + error.msg);
    }
  }
  if (manifests.empty() && faults.empty()) {
    faults.Add({texts.empty() ? "manifest" : texts.front().file, 0, 0},
               "holds no document; write one that begins with kind and name");
  }
  const absl::Status status = faults.ToStatus();
  if (!status.ok()) return status;
  return manifests;
}

}  // namespace appsup::cli
