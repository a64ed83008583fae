// Manifests. What can be read is written again and must then say the same.
#include <string>
#include <vector>

#include "appsupervisor/v1/app.pb.h"
#include "entry/cli/manifest.h"
#include "entry/cli/yaml_writer.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/fuzz/steps.h"

namespace appsup::cli {
namespace {

using fuzz::Expect;

void WriteAndReadAgain(const Manifest& manifest) {
  const std::string text = ToYaml(*manifest.resource, {});
  const auto again = ReadManifests({{"again.yaml", text}}, "default");
  Expect(again.status(), text.c_str());
  Expect(again->size() == 1, "one resource is one document");
  Expect(google::protobuf::util::MessageDifferencer::Equals(*manifest.resource,
                                                            *again->at(0).resource),
         text.c_str());
}

}  // namespace
}  // namespace appsup::cli

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace appsup;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto manifests = cli::ReadManifests({{"m.yaml", text}}, "default");
  if (!manifests.ok()) {
    fuzz::Expect(absl::IsInvalidArgument(manifests.status()),
                 "a bad manifest is the caller's fault");
    return 0;
  }
  for (const cli::Manifest& manifest : *manifests) {
    manifest.PlaceOf("app.spec.ports[0].number");
    cli::WriteAndReadAgain(manifest);
  }
  return 0;
}
