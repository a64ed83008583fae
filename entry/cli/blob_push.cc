#include "entry/cli/blob_push.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "common/status.h"
#include "entry/cli/progress.h"
#include "entry/cli/time_text.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr size_t kPiece = 512 << 10;  // The entry takes at most 1 MiB at once.
constexpr absl::Duration kPushTimeout = absl::Hours(1);

// False if the entry wants no more: it has the blob, or refused it; its status says which.
absl::StatusOr<bool> SendPiece(int fd, grpc::ClientWriter<v1::UploadBlobRequest>& writer,
                               int64_t* sent) {
  v1::UploadBlobRequest request;
  std::string& data = *request.mutable_data();
  data.resize(kPiece);
  const ssize_t length = read(fd, data.data(), data.size());
  if (length < 0) return ErrnoError(errno, "read");
  data.resize(static_cast<size_t>(length));
  *sent += length;
  return length > 0 && writer.Write(request);
}

}  // namespace

absl::StatusOr<v1::Blob> PushBlob(Session& session, const PackedArtifact& artifact) {
  const int fd = open(artifact.path().c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "open " + artifact.path());
  const absl::Cleanup close_file = [fd] { close(fd); };
  ASSIGN_OR_RETURN(Client * client, session.client());
  const auto context = client->NewContext(kPushTimeout);
  v1::Blob blob;
  const auto writer = client->stub<ArtifactStub>().UploadBlob(context.get(), &blob);
  v1::UploadBlobRequest first;
  first.set_sha256(artifact.sha256());
  ProgressLine line(session.err, session.surroundings.err_is_terminal, session.surroundings.width,
                    session.settings.quiet || !session.surroundings.err_is_terminal);
  const absl::Time start = session.Now();
  int64_t sent = 0;
  absl::StatusOr<bool> go_on = writer->Write(first);
  while (go_on.ok() && *go_on) {
    go_on = SendPiece(fd, *writer, &sent);
    line.Show(fmt::format("pushing {}", SizeText(sent)), session.Now() - start);
  }
  if (!go_on.ok()) {
    context->TryCancel();
    const grpc::Status cancelled = writer->Finish();
    return Annotate(go_on.status(), artifact.path());
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return client->StatusOf(status);
  return blob;
}

}  // namespace appsup::cli
