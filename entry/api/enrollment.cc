#include "entry/api/enrollment.h"

#include <optional>
#include <utility>

#include "appsupervisor/v1/link.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "common/join_token.h"
#include "common/log.h"
#include "common/status.h"
#include "entry/security/node_identity.h"

namespace appsup::entry {
namespace {

namespace v1 = ::appsupervisor::v1;

constexpr char kNodePrefix[] = "nodes/";

// One Enroll: the core says which node this is, and here its certificate is signed. Polling thread
// until it is posted, then core thread.
class EnrollCall : public rpc::CallSink,
                   public PendingCall,
                   public std::enable_shared_from_this<EnrollCall> {
 public:
  EnrollCall(const CoreDoor& door, const Ca& ca, Clock& clock,
             std::shared_ptr<rpc::ServerCall> call)
      : door_(door), ca_(ca), clock_(clock), call_(std::move(call)) {}

  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    auto request = std::make_shared<v1::EnrollRequest>(static_cast<v1::EnrollRequest&>(*message));
    csr_pem_ = request->csr_pem();
    Principal principal;
    const absl::Status status = request->join_token().empty()
                                    ? TakeCertificate(&principal)
                                    : TakeToken(request.get(), &principal);
    if (!status.ok()) return call_->Finish(status);
    PostToCore(door_, rpc::MethodName(call_->method()), std::move(request), principal,
               shared_from_this());
  }
  void OnReadsDone() override { call_->Finish(absl::InvalidArgumentError("no request was sent")); }
  void OnWritten() override {}
  void OnDone() override {}

  void OnReply(const absl::StatusOr<MessagePtr>& response) override {
    if (!response.ok()) return call_->Finish(response.status());
    auto answer = static_cast<const v1::EnrollResponse&>(**response);
    const absl::Status status = Sign(&answer);
    if (!status.ok()) return call_->Finish(status);
    call_->FinishWith(answer);
  }

 private:
  // The core knows the secret alone.
  static absl::Status TakeToken(v1::EnrollRequest* request, Principal* principal) {
    ASSIGN_OR_RETURN(JoinToken token, DecodeJoinToken(request->join_token()));
    request->set_join_token(token.secret.Reveal());
    principal->name = "join-token";
    return absl::OkStatus();
  }

  absl::Status TakeCertificate(Principal* principal) {
    ASSIGN_OR_RETURN(NodeIdentity shown, NodeFromUris(call_->peer_uris()));
    principal->name = "node:" + shown.node;
    shown_ = std::move(shown);
    return absl::OkStatus();
  }

  absl::Status Sign(v1::EnrollResponse* answer) {
    if (shown_.has_value() && shown_->uid != answer->node_uid()) {
      return MakeError(absl::StatusCode::kPermissionDenied, "NODE_REVOKED",
                       "the certificate is that of an earlier " + answer->node() +
                           "; enrol the machine again with a new join token",
                       {{"node", answer->node()}});
    }
    const std::string node = answer->node().substr(sizeof(kNodePrefix) - 1);
    ASSIGN_OR_RETURN(std::string certificate,
                     ca_.SignNode(csr_pem_, node, answer->node_uid(), clock_.Now().wall));
    answer->set_certificate_pem(std::move(certificate));
    answer->set_ca_pem(ca_.certificate_pem());
    Log(LogLevel::kInfo, shown_.has_value() ? "certificate-renewed" : "node-enrolled",
        {{"node", node}, {"environment", answer->environment()}, {"peer", call_->peer()}});
    return absl::OkStatus();
  }

  const CoreDoor door_;
  const Ca& ca_;
  Clock& clock_;
  const std::shared_ptr<rpc::ServerCall> call_;
  std::string csr_pem_;
  std::optional<NodeIdentity> shown_;  // Set: a renewal.
};

}  // namespace

CoreCall::Complete CompleteEnrollmentToken(const Ca& ca, const EnrollmentOptions& options) {
  return [&ca, options](MessagePtr response) -> absl::StatusOr<MessagePtr> {
    auto token =
        std::make_shared<v1::EnrollmentToken>(static_cast<const v1::EnrollmentToken&>(*response));
    token->set_token(
        EncodeJoinToken({Secret(token->token()), ca.fingerprint(), options.link_address}));
    token->set_command("appsup-agent enroll --entry " + options.link_address + " --token " +
                       token->token());
    return MessagePtr(std::move(token));
  };
}

std::shared_ptr<rpc::CallSink> ServeEnroll(const CoreDoor& door, const Ca& ca, Clock& clock,
                                           const std::shared_ptr<rpc::ServerCall>& call) {
  auto sink = std::make_shared<EnrollCall>(door, ca, clock, call);
  call->Read();
  return sink;
}

}  // namespace appsup::entry
