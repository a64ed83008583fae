#include "agent/link/enroll.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

#include "agent/link/channel.h"
#include "appsupervisor/v1/link.grpc.pb.h"
#include "common/file.h"
#include "common/join_token.h"
#include "common/resource_name.h"
#include "common/rpc/deadline.h"
#include "common/rpc/grpc_status.h"
#include "common/status.h"
#include "common/tls.h"

namespace appsup::agent {
namespace {

namespace v1 = ::appsupervisor::v1;

constexpr size_t kMaxIdLength = 63;

struct HostAndPort {
  std::string host;
  uint16_t port = 0;
};

absl::StatusOr<HostAndPort> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string digits = colon == std::string::npos ? "" : address.substr(colon + 1);
  const bool is_number = !digits.empty() && digits.size() <= 5 &&
                         digits.find_first_not_of("0123456789") == std::string::npos;
  const int port = is_number ? std::stoi(digits) : 0;
  if (port < 1 || port > 65535) {
    return absl::InvalidArgumentError("\"" + address + "\" is no address: write HOST:PORT");
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 1 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return HostAndPort{host, static_cast<uint16_t>(port)};
}

// The CA among the certificates that the entry shows whose fingerprint is the token's.
absl::StatusOr<std::string> FindCa(const std::string& entry, const std::string& fingerprint,
                                   absl::Duration timeout) {
  ASSIGN_OR_RETURN(HostAndPort address, SplitAddress(entry));
  absl::StatusOr<std::vector<std::string>> chain =
      FetchPeerChain(address.host, address.port, timeout);
  if (!chain.ok()) return Annotate(chain.status(), "the entry at " + entry);
  for (const std::string& certificate : *chain) {
    const absl::StatusOr<CertificateInfo> info = GetCertificateInfo(certificate);
    if (info.ok() && info->is_ca && info->fingerprint == fingerprint) return certificate;
  }
  return MakeError(absl::StatusCode::kPermissionDenied, "OTHER_CA",
                   "the server at " + entry +
                       " is not the entry that made this token: its certificate authority is "
                       "another one",
                   {{"entry", entry}});
}

absl::StatusOr<v1::EnrollResponse> CallEnroll(const std::string& entry, const Identity& identity,
                                              const v1::EnrollRequest& request,
                                              absl::Duration timeout) {
  const std::unique_ptr<v1::LinkService::Stub> stub =
      v1::LinkService::NewStub(MakeChannel(entry, identity, {}));
  grpc::ClientContext context;
  context.set_deadline(rpc::DeadlineIn(timeout));
  v1::EnrollResponse response;
  const absl::Status status = rpc::FromGrpcStatus(stub->Enroll(&context, request, &response));
  if (!status.ok()) return Annotate(status, "the entry at " + entry);
  return response;
}

// What came back must fit what was asked for, or it would fail at the next connection.
absl::Status Take(const v1::EnrollResponse& response, const Secret& key, Identity* identity) {
  identity->key_pem = key;
  identity->certificate_pem = response.certificate_pem();
  identity->ca_pem = response.ca_pem();
  RETURN_IF_ERROR(CheckKeyMatches(identity->certificate_pem, identity->key_pem));
  return CheckIssuedBy(identity->certificate_pem, identity->ca_pem);
}

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

std::string MachineId() {
  absl::StatusOr<std::string> id = ReadFile("/etc/machine-id", 256);
  if (id.ok()) id->resize(id->find_last_not_of(" \n") + 1);
  return id.ok() && !id->empty() ? *id : "host-" + HostName();
}

}  // namespace

std::string NodeIdFromHostName(const std::string& host_name) {
  std::string id;
  for (char c : host_name.substr(0, host_name.find('.'))) {
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    id.push_back(std::isalnum(static_cast<unsigned char>(lower)) ? lower : '-');
  }
  id.resize(std::min(id.size(), kMaxIdLength - 1));
  while (!id.empty() && id.back() == '-') id.pop_back();
  while (!id.empty() && id.front() == '-') id.erase(id.begin());
  if (id.empty() || !std::isalpha(static_cast<unsigned char>(id.front()))) id = "n" + id;
  return IsValidId(id) ? id : "node";
}

absl::StatusOr<Enrolled> Enroll(const EnrollOptions& options) {
  ASSIGN_OR_RETURN(JoinToken token, DecodeJoinToken(options.token));
  const std::string entry = options.entry.empty() ? token.address : options.entry;
  Identity identity;
  ASSIGN_OR_RETURN(identity.ca_pem, FindCa(entry, token.ca_fingerprint, options.timeout));
  identity.entry = entry;

  v1::EnrollRequest request;
  request.set_join_token(options.token);
  request.set_node_id(options.node_id.empty() ? NodeIdFromHostName(HostName()) : options.node_id);
  request.set_machine_id(options.machine_id.empty() ? MachineId() : options.machine_id);
  request.mutable_labels()->insert(options.labels.begin(), options.labels.end());
  ASSIGN_OR_RETURN(KeyAndCsr key, CreateKeyAndCsr(request.node_id()));
  request.set_csr_pem(key.csr_pem);
  ASSIGN_OR_RETURN(v1::EnrollResponse response,
                   CallEnroll(entry, identity, request, options.timeout));
  RETURN_IF_ERROR(Take(response, key.key_pem, &identity));
  return Enrolled{identity, response.node(), response.environment()};
}

absl::StatusOr<Identity> RenewIdentity(const Identity& identity, const std::string& entry,
                                       absl::Duration timeout) {
  ASSIGN_OR_RETURN(NodeName node, NodeOf(identity));
  ASSIGN_OR_RETURN(KeyAndCsr key, CreateKeyAndCsr(node.node));
  v1::EnrollRequest request;
  request.set_csr_pem(key.csr_pem);
  ASSIGN_OR_RETURN(v1::EnrollResponse response,
                   CallEnroll(entry.empty() ? identity.entry : entry, identity, request, timeout));
  Identity renewed = identity;
  RETURN_IF_ERROR(Take(response, key.key_pem, &renewed));
  return renewed;
}

}  // namespace appsup::agent
