// The reading half of tls.h: what a certificate says and whether things belong together.
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>

#include "absl/cleanup/cleanup.h"
#include "common/check.h"
#include "common/openssl_handles.h"
#include "common/status.h"
#include "common/tls.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace appsup {
namespace {

constexpr size_t kMaxChainLength = 16;

std::string CommonName(const X509_NAME* name) {
  int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index < 0) return "";
  unsigned char* utf8 = nullptr;
  int length =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (length < 0) return "";
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(length));
  OPENSSL_free(utf8);
  return text;
}

std::string_view Bytes(const ASN1_STRING* value) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<size_t>(ASN1_STRING_length(value))};
}

std::string IpText(std::string_view address) {
  char text[INET6_ADDRSTRLEN];
  int family = address.size() == 4 ? AF_INET : AF_INET6;
  if (address.size() != 4 && address.size() != 16) return "";
  return inet_ntop(family, address.data(), text, sizeof text) == nullptr ? "" : text;
}

void ReadAlternativeNames(X509* certificate, CertificateInfo* info) {
  NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_URI) {
      info->uri_sans.emplace_back(Bytes(name->d.uniformResourceIdentifier));
    } else if (name->type == GEN_DNS) {
      info->dns_sans.emplace_back(Bytes(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
      info->ip_sans.push_back(IpText(Bytes(name->d.iPAddress)));
    }
  }
}

absl::StatusOr<absl::Time> TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    return OpenSslError(absl::StatusCode::kInvalidArgument, "the certificate has a malformed time");
  }
  return absl::FromTM(parts, absl::UTCTimeZone());
}

std::string Hex(const unsigned char* bytes, size_t length) {
  return fmt::format("{:02x}", fmt::join(bytes, bytes + length, ""));
}

std::string SerialHex(X509* certificate) {
  BignumPtr serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  APPSUP_CHECK(serial != nullptr, "out of memory");
  std::string bytes(static_cast<size_t>(BN_num_bytes(serial.get())), '\0');
  auto* data = reinterpret_cast<unsigned char*>(bytes.data());
  BN_bn2bin(serial.get(), data);
  return Hex(data, bytes.size());
}

// Walks over DER without reading what it passes.
class DerCursor {
 public:
  DerCursor(const unsigned char* begin, long length) : at_(begin), end_(begin + length) {}

  // Into the next element, and past the others of its level. False: there is none.
  bool Enter() {
    long length = 0;
    if (!Header(&length)) return false;
    end_ = at_ + length;
    return true;
  }
  bool Skip() {
    long length = 0;
    if (!Header(&length)) return false;
    at_ += length;
    return true;
  }
  Asn1TimePtr Time() { return Asn1TimePtr(d2i_ASN1_TIME(nullptr, &at_, end_ - at_)); }

 private:
  bool Header(long* length) {
    constexpr int kFaultOrNoLength = 0x81;
    int tag = 0;
    int kind = 0;
    return at_ < end_ &&
           (ASN1_get_object(&at_, length, &tag, &kind, end_ - at_) & kFaultOrNoLength) == 0;
  }

  const unsigned char* at_;
  const unsigned char* end_;
};

// RFC 5280, 4.1: Certificate { TBSCertificate { version, serialNumber, signature, issuer,
// Validity { notBefore, notAfter }, ...
Asn1TimePtr FindExpiry(DerCursor der) {
  const bool found = der.Enter() && der.Enter() && der.Skip() && der.Skip() && der.Skip() &&
                     der.Skip() && der.Enter() && der.Skip();
  return found ? der.Time() : nullptr;
}

}  // namespace

absl::StatusOr<absl::Time> GetExpiry(std::string_view pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* der = nullptr;
  long length = 0;
  const bool read = PEM_read_bio(bio.get(), &name, &header, &der, &length) == 1;
  const absl::Cleanup release = [&] {
    for (void* part :
         {static_cast<void*>(name), static_cast<void*>(header), static_cast<void*>(der)}) {
      OPENSSL_free(part);
    }
  };
  const Asn1TimePtr expiry = read ? FindExpiry({der, length}) : nullptr;
  if (expiry != nullptr) return TimeOf(expiry.get());
  return OpenSslError(absl::StatusCode::kInvalidArgument, "not a certificate in PEM form");
}

absl::StatusOr<CertificateInfo> GetCertificateInfo(std::string_view pem) {
  CertificatePtr certificate;
  RETURN_IF_ERROR(ReadPem(pem, &certificate));
  CertificateInfo info;
  info.common_name = CommonName(X509_get_subject_name(certificate.get()));
  info.issuer_common_name = CommonName(X509_get_issuer_name(certificate.get()));
  ReadAlternativeNames(certificate.get(), &info);
  ASSIGN_OR_RETURN(info.not_before, TimeOf(X509_get0_notBefore(certificate.get())));
  ASSIGN_OR_RETURN(info.not_after, TimeOf(X509_get0_notAfter(certificate.get())));
  info.is_ca = X509_check_ca(certificate.get()) == 1;
  info.serial = SerialHex(certificate.get());
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  APPSUP_CHECK(X509_digest(certificate.get(), EVP_sha256(), digest, &length) == 1);
  info.fingerprint = Hex(digest, length);
  return info;
}

absl::StatusOr<std::vector<std::string>> SplitPemChain(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  std::vector<std::string> chain;
  size_t begin = pem.find(kBegin);
  while (begin != std::string_view::npos) {
    size_t end = pem.find(kEnd, begin);
    if (end == std::string_view::npos || chain.size() == kMaxChainLength) {
      return absl::InvalidArgumentError(
          fmt::format("a chain must have 1 to {} whole certificates", kMaxChainLength));
    }
    chain.push_back(std::string(pem.substr(begin, end + kEnd.size() - begin)) + "\n");
    CertificatePtr parsed;
    RETURN_IF_ERROR(Annotate(ReadPem(chain.back(), &parsed),
                             fmt::format("certificate {} of the chain", chain.size())));
    begin = pem.find(kBegin, end);
  }
  if (chain.empty()) return absl::InvalidArgumentError("the text holds no certificate");
  return chain;
}

absl::Status CheckIssuedBy(std::string_view certificate_pem, std::string_view ca_pem) {
  CertificatePtr certificate;
  CertificatePtr ca;
  RETURN_IF_ERROR(ReadPem(certificate_pem, &certificate));
  RETURN_IF_ERROR(Annotate(ReadPem(ca_pem, &ca), "CA"));
  if (X509_check_ca(ca.get()) == 1 && X509_check_issued(ca.get(), certificate.get()) == X509_V_OK &&
      X509_verify(certificate.get(), X509_get0_pubkey(ca.get())) == 1) {
    return absl::OkStatus();
  }
  return OpenSslError(absl::StatusCode::kFailedPrecondition,
                      fmt::format("the certificate of \"{}\" was not issued by \"{}\"",
                                  CommonName(X509_get_subject_name(certificate.get())),
                                  CommonName(X509_get_subject_name(ca.get()))));
}

absl::Status CheckKeyMatches(std::string_view certificate_pem, const Secret& key_pem) {
  CertificatePtr certificate;
  KeyPtr key;
  RETURN_IF_ERROR(ReadPem(certificate_pem, &certificate));
  RETURN_IF_ERROR(ReadPem(key_pem.Reveal(), &key));
  if (X509_check_private_key(certificate.get(), key.get()) == 1) return absl::OkStatus();
  return OpenSslError(absl::StatusCode::kFailedPrecondition,
                      "the private key does not belong to the certificate");
}

}  // namespace appsup
