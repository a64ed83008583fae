#include "entry/security/ca.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "common/file.h"
#include "common/log.h"
#include "common/server_name.h"
#include "common/status.h"
#include "common/swapped_folder.h"
#include "entry/security/node_identity.h"

namespace appsup::entry {
namespace {

// Clocks of nodes may be behind.
constexpr absl::Duration kClockSkew = absl::Hours(1);

std::string KeyPath(const std::string& state_dir) { return state_dir + "/ca/ca.key"; }
std::string CertificatePath(const std::string& state_dir) { return state_dir + "/ca/ca.crt"; }

bool IsAddress(const std::string& name) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

SignOptions ServerNames(const std::vector<std::string>& names, absl::Time now) {
  SignOptions options;
  options.common_name = kEntryServerName;
  options.dns_sans = {kEntryServerName, "localhost"};
  options.ip_sans = {"127.0.0.1", "::1"};
  options.not_before = now - kClockSkew;
  options.not_after = now + kServerCertificateLife;
  options.server = true;
  for (const std::string& name : names) {
    std::vector<std::string>& sans = IsAddress(name) ? options.ip_sans : options.dns_sans;
    if (std::find(sans.begin(), sans.end(), name) == sans.end()) sans.push_back(name);
  }
  return options;
}

// Does the certificate that is there serve on?
bool IsGood(const CertificateInfo& info, const SignOptions& wanted, absl::Time now) {
  auto has_all = [](const std::vector<std::string>& have, const std::vector<std::string>& want) {
    return std::all_of(want.begin(), want.end(), [&](const std::string& name) {
      return std::find(have.begin(), have.end(), name) != have.end();
    });
  };
  // One that was made while the clock was ahead is of no use to anybody for a long time.
  return info.not_before <= now && info.not_after - now > (info.not_after - info.not_before) / 3 &&
         has_all(info.dns_sans, wanted.dns_sans) && has_all(info.ip_sans, wanted.ip_sans);
}

}  // namespace

ServerTlsPaths ServerTlsFiles(const std::string& state_dir) {
  const std::string folder = state_dir + "/tls/";
  return {folder + "server.key", folder + "server.crt", folder + "ca.crt"};
}

absl::StatusOr<Ca> Ca::Create(const std::string& state_dir, absl::Time now) {
  if (ReadFile(KeyPath(state_dir)).ok() || ReadFile(CertificatePath(state_dir)).ok()) {
    return absl::AlreadyExistsError(state_dir +
                                    "/ca holds a certificate authority already; nodes "
                                    "trust it, so it is never made anew");
  }
  RETURN_IF_ERROR(EnsureDir(state_dir + "/ca", 0700));
  ASSIGN_OR_RETURN(CertificateAuthority authority,
                   CreateCa("AppSupervisor CA", now - kClockSkew, now + kCaLife));
  // The certificate comes last: with it the CA is whole.
  RETURN_IF_ERROR(AtomicWriteFile(KeyPath(state_dir), authority.key_pem.Reveal(), 0600));
  RETURN_IF_ERROR(AtomicWriteFile(CertificatePath(state_dir), authority.certificate_pem, 0644));
  Log(LogLevel::kInfo, "ca-created", {{"path", CertificatePath(state_dir)}});
  return Open(state_dir);
}

absl::StatusOr<Ca> Ca::Open(const std::string& state_dir) {
  CertificateAuthority authority;
  ASSIGN_OR_RETURN(authority.certificate_pem, ReadFile(CertificatePath(state_dir)));
  ASSIGN_OR_RETURN(std::string key, ReadFile(KeyPath(state_dir)));
  authority.key_pem = Secret(std::move(key));
  if (absl::Status status = CheckKeyMatches(authority.certificate_pem, authority.key_pem);
      !status.ok()) {
    return Annotate(status, state_dir + "/ca");
  }
  ASSIGN_OR_RETURN(CertificateInfo info, GetCertificateInfo(authority.certificate_pem));
  return Ca(std::move(authority), info.fingerprint);
}

absl::StatusOr<Ca> Ca::OpenOrCreate(const std::string& state_dir, absl::Time now) {
  absl::StatusOr<Ca> ca = Open(state_dir);
  if (ca.ok() || !absl::IsNotFound(ca.status())) return ca;
  return Create(state_dir, now);
}

absl::StatusOr<std::string> Ca::SignNode(const std::string& csr_pem, const std::string& node,
                                         const std::string& uid, absl::Time now) const {
  SignOptions options;
  options.common_name = node;
  options.uri_sans = {NodeUri({node, uid})};
  options.not_before = now - kClockSkew;
  options.not_after = now + kNodeCertificateLife;
  options.client = true;
  return SignCsr(authority_, csr_pem, options);
}

absl::Status Ca::EnsureServerCertificate(const std::string& state_dir,
                                         const std::vector<std::string>& names,
                                         absl::Time now) const {
  const SignOptions wanted = ServerNames(names, now);
  const ServerTlsPaths paths = ServerTlsFiles(state_dir);
  if (auto present = ReadFile(paths.certificate); present.ok()) {
    auto info = GetCertificateInfo(*present);
    if (info.ok() && CheckIssuedBy(*present, certificate_pem()).ok() &&
        IsGood(*info, wanted, now)) {
      return absl::OkStatus();
    }
  }
  ASSIGN_OR_RETURN(KeyAndCsr key, CreateKeyAndCsr(kEntryServerName));
  ASSIGN_OR_RETURN(std::string certificate, SignCsr(authority_, key.csr_pem, wanted));
  // The root is sent too: a node that enrols finds the CA by the fingerprint in its token.
  RETURN_IF_ERROR(SwapFolder(state_dir + "/tls", {{"server.key", key.key_pem.Reveal()},
                                                  {"server.crt", certificate + certificate_pem()},
                                                  {"ca.crt", certificate_pem()}}));
  Log(LogLevel::kInfo, "server-certificate-made", {{"path", paths.certificate}});
  return absl::OkStatus();
}

}  // namespace appsup::entry
