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

constexpr char kGetNode[] = "appsupervisor.v1.NodeService/GetNode";
constexpr char kNodePrefix[] = "nodes/";

// One Enroll: asks the core to enrol the node, then for the node as it is now, and signs.
//
//   join token:   OnMessage ─▶ core: Enroll ─▶ core: GetNode ─▶ sign ─▶ answer
//   certificate:  OnMessage ──────────────────▶ core: GetNode ─▶ sign ─▶ answer
//
// Polling thread until it is posted, then core thread.
class EnrollCall : public rpc::CallSink,
                   public PendingCall,
                   public std::enable_shared_from_this<EnrollCall> {
 public:
  EnrollCall(const CoreDoor& door, const Ca& ca, Clock& clock,
             std::shared_ptr<rpc::ServerCall> call)
      : door_(door), ca_(ca), clock_(clock), call_(std::move(call)) {}

  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    request_ = static_cast<v1::EnrollRequest&>(*message);
    const absl::Status status = request_.join_token().empty() ? Renew() : Join();
    if (!status.ok()) call_->Finish(status);
  }
  void OnReadsDone() override { call_->Finish(absl::InvalidArgumentError("no request was sent")); }
  void OnWritten() override {}
  void OnDone() override {}

  void OnReply(const absl::StatusOr<MessagePtr>& response) override {
    if (!response.ok()) return call_->Finish(response.status());
    if (const auto* enrolled = dynamic_cast<const v1::EnrollResponse*>(response->get())) {
      answer_ = *enrolled;
      return AskForNode(enrolled->node());
    }
    const absl::Status status = Sign(static_cast<const v1::Node&>(**response));
    if (!status.ok()) return call_->Finish(status);
    call_->FinishWith(answer_);
  }

 private:
  absl::Status Join() {
    ASSIGN_OR_RETURN(JoinToken token, DecodeJoinToken(request_.join_token()));
    principal_.name = "join-token";
    auto to_core = std::make_shared<v1::EnrollRequest>(request_);
    to_core->set_join_token(token.secret.Reveal());
    PostToCore(door_, MethodName(call_->method()), std::move(to_core), principal_,
               shared_from_this());
    return absl::OkStatus();
  }

  absl::Status Renew() {
    ASSIGN_OR_RETURN(NodeIdentity shown, NodeFromUris(call_->peer_uris()));
    principal_.name = "node:" + shown.node;
    answer_.set_node(kNodePrefix + shown.node);
    shown_ = std::move(shown);
    AskForNode(answer_.node());
    return absl::OkStatus();
  }

  void AskForNode(const std::string& name) {
    auto request = std::make_shared<v1::GetNodeRequest>();
    request->set_name(name);
    PostToCore(door_, kGetNode, std::move(request), principal_, shared_from_this());
  }

  absl::Status Sign(const v1::Node& node) {
    if (shown_.has_value() && (shown_->uid != node.uid() ||
                               node.status().state() == v1::NODE_STATE_REVOKED)) {
      return MakeError(absl::StatusCode::kPermissionDenied, "NODE_REVOKED",
                       "the certificate of " + node.name() +
                           " is no longer accepted; enrol the node again with a new token",
                       {{"node", node.name()}});
    }
    const std::string id = node.name().substr(sizeof(kNodePrefix) - 1);
    ASSIGN_OR_RETURN(std::string certificate,
                     ca_.SignNode(request_.csr_pem(), id, node.uid(), clock_.Now().wall));
    answer_.set_certificate_pem(std::move(certificate));
    answer_.set_ca_pem(ca_.certificate_pem());
    answer_.set_node(node.name());
    answer_.set_environment(node.environment());
    Log(LogLevel::kInfo, shown_.has_value() ? "certificate-renewed" : "node-enrolled",
        {{"node", id}, {"environment", node.environment()}, {"peer", call_->peer()}});
    return absl::OkStatus();
  }

  const CoreDoor door_;
  const Ca& ca_;
  Clock& clock_;
  const std::shared_ptr<rpc::ServerCall> call_;
  v1::EnrollRequest request_;
  v1::EnrollResponse answer_;
  Principal principal_;
  std::optional<NodeIdentity> shown_;  // Set: a renewal.
};

}  // namespace

CoreCall::Complete CompleteEnrollmentToken(const Ca& ca, const EnrollmentOptions& options) {
  return [&ca, options](MessagePtr response) -> absl::StatusOr<MessagePtr> {
    auto token = std::make_shared<v1::EnrollmentToken>(
        static_cast<const v1::EnrollmentToken&>(*response));
    token->set_token(EncodeJoinToken(
        {Secret(token->token()), ca.fingerprint(), options.link_address}));
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
