// appsup push: a file or folder becomes a blob of the entry.
#include "common/status.h"
#include "entry/cli/blob_push.h"
#include "entry/cli/commands.h"
#include "entry/cli/time_text.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

struct PushOptions {
  std::string path;
};

Outcome Push(Session& session, const PushOptions& options) {
  ASSIGN_OR_RETURN(const PackedArtifact artifact, PackedArtifact::Of(options.path));
  ASSIGN_OR_RETURN(const v1::Blob blob, PushBlob(session, artifact));
  // The name alone on standard output, so that $(appsup push DIR) is of use.
  if (!PrintMessage(session, blob)) session.out << blob.name() << "\n" << std::flush;
  return ExitCode::kOk;
}

}  // namespace

void AddPushCommand(Commands& commands) {
  CLI::App* command = commands.Add(
      commands.root(), "push",
      "Stores a file or folder at the entry and prints its name for spec.artifact.blob",
      "  appsup push ./notes");
  const auto options = commands.Bind<PushOptions>(command, Push);
  command->add_option("PATH", options->path, "file or folder")->required();
}

}  // namespace appsup::cli
