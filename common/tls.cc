#include "common/tls.h"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <utility>

#include "common/check.h"
#include "common/openssl_handles.h"
#include "common/status.h"
#include "fmt/format.h"

namespace appsup {
namespace {

constexpr char kCurve[] = "P-256";
constexpr int kSerialBytes = 16;

absl::Status Internal(std::string_view what) {
  return OpenSslError(absl::StatusCode::kInternal, what);
}

absl::StatusOr<KeyPtr> NewKey() {
  KeyPtr key(EVP_EC_gen(kCurve));
  if (key == nullptr) return Internal("could not make an ECDSA key");
  return key;
}

absl::StatusOr<Secret> KeyPem(EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Internal("could not write a private key");
  }
  return Secret(BioText(bio.get()));
}

absl::StatusOr<std::string> CertificatePem(X509* certificate) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return Internal("could not write a certificate");
  }
  return BioText(bio.get());
}

absl::Status SetCommonName(X509_NAME* name, std::string_view common_name) {
  if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1) {
    return OpenSslError(
        absl::StatusCode::kInvalidArgument,
        fmt::format("\"{}\" cannot be a common name (1 to 64 bytes of UTF-8)", common_name));
  }
  return absl::OkStatus();
}

// Random, so that two CAs restored from one backup never give the same number twice.
absl::Status SetSerial(X509* certificate) {
  unsigned char bytes[kSerialBytes];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return Internal("no random bytes");
  bytes[0] = (bytes[0] & 0x7f) | 0x40;  // Positive and of full length.
  BignumPtr serial(BN_bin2bn(bytes, sizeof bytes, nullptr));
  if (BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return Internal("could not set a serial number");
  }
  return absl::OkStatus();
}

absl::Status SetValidity(X509* certificate, absl::Time not_before, absl::Time not_after) {
  if (not_before >= not_after) {
    return absl::InvalidArgumentError("the validity of a certificate ends before it begins");
  }
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(not_before)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(not_after)) == nullptr) {
    return Internal("could not set the validity of a certificate");
  }
  return absl::OkStatus();
}

// `value` in OpenSSL's config language: constants of this file only, never a name from outside.
absl::Status AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return Internal(fmt::format("could not add the extension {}", OBJ_nid2sn(nid)));
  }
  return absl::OkStatus();
}

absl::Status AddName(GENERAL_NAMES* names, int type, std::string_view text) {
  for (char c : text) {
    if (c <= ' ' || c == '\x7f' || text.size() > 512) {
      return absl::InvalidArgumentError(
          "a subject alternative name must be at most 512 printable ASCII characters");
    }
  }
  ASN1_STRING* value = nullptr;
  if (type == GEN_IPADD) {
    value = a2i_IPADDRESS(std::string(text).c_str());
  } else if (!text.empty()) {
    value = ASN1_IA5STRING_new();
    ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
  }
  if (value == nullptr) {
    return OpenSslError(absl::StatusCode::kInvalidArgument,
                        fmt::format("\"{}\" cannot be a subject alternative name", text));
  }
  NamePtr name(GENERAL_NAME_new());
  GENERAL_NAME_set0_value(name.get(), type, value);
  APPSUP_CHECK(sk_GENERAL_NAME_push(names, name.get()) > 0, "out of memory");
  name.release();
  return absl::OkStatus();
}

absl::Status AddAlternativeNames(X509* certificate, const SignOptions& options) {
  NamesPtr names(GENERAL_NAMES_new());
  for (const auto& [type, texts] :
       {std::pair(GEN_URI, &options.uri_sans), std::pair(GEN_DNS, &options.dns_sans),
        std::pair(GEN_IPADD, &options.ip_sans)}) {
    for (const std::string& text : *texts) RETURN_IF_ERROR(AddName(names.get(), type, text));
  }
  if (sk_GENERAL_NAME_num(names.get()) == 0) return absl::OkStatus();
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) !=
      1) {
    return Internal("could not add subject alternative names");
  }
  return absl::OkStatus();
}

absl::Status AddLeafExtensions(X509* certificate, X509* ca, const SignOptions& options) {
  RETURN_IF_ERROR(AddExtension(certificate, ca, NID_basic_constraints, "critical,CA:FALSE"));
  RETURN_IF_ERROR(AddExtension(certificate, ca, NID_key_usage, "critical,digitalSignature"));
  const char* usage = options.server && options.client ? "serverAuth,clientAuth"
                      : options.server                 ? "serverAuth"
                                                       : "clientAuth";
  RETURN_IF_ERROR(AddExtension(certificate, ca, NID_ext_key_usage, usage));
  RETURN_IF_ERROR(AddExtension(certificate, ca, NID_subject_key_identifier, "hash"));
  RETURN_IF_ERROR(AddExtension(certificate, ca, NID_authority_key_identifier, "keyid:always"));
  return AddAlternativeNames(certificate, options);
}

absl::Status Sign(X509* certificate, EVP_PKEY* key) {
  if (X509_sign(certificate, key, EVP_sha256()) == 0) return Internal("could not sign");
  return absl::OkStatus();
}

// The request, once it has proven that its maker holds the key.
absl::Status ReadRequest(std::string_view csr_pem, RequestPtr* request) {
  RETURN_IF_ERROR(ReadPem(csr_pem, request));
  EVP_PKEY* key = X509_REQ_get0_pubkey(request->get());
  if (key == nullptr || X509_REQ_verify(request->get(), key) != 1) {
    return OpenSslError(absl::StatusCode::kInvalidArgument,
                        "the signing request is not signed by its own key");
  }
  return absl::OkStatus();
}

absl::Status SetSubject(X509* certificate, X509_REQ* request, const SignOptions& options) {
  if (!options.common_name.empty()) {
    return SetCommonName(X509_get_subject_name(certificate), options.common_name);
  }
  if (X509_set_subject_name(certificate, X509_REQ_get_subject_name(request)) != 1) {
    return Internal("could not copy the subject");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CertificateAuthority> CreateCa(std::string_view common_name, absl::Time not_before,
                                              absl::Time not_after) {
  ASSIGN_OR_RETURN(KeyPtr key, NewKey());
  CertificatePtr certificate(X509_new());
  X509* ca = certificate.get();
  X509_set_version(ca, X509_VERSION_3);
  RETURN_IF_ERROR(SetSerial(ca));
  RETURN_IF_ERROR(SetValidity(ca, not_before, not_after));
  RETURN_IF_ERROR(SetCommonName(X509_get_subject_name(ca), common_name));
  if (X509_set_issuer_name(ca, X509_get_subject_name(ca)) != 1 ||
      X509_set_pubkey(ca, key.get()) != 1) {
    return Internal("could not fill in the CA certificate");
  }
  RETURN_IF_ERROR(AddExtension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  RETURN_IF_ERROR(AddExtension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign"));
  RETURN_IF_ERROR(AddExtension(ca, ca, NID_subject_key_identifier, "hash"));
  RETURN_IF_ERROR(Sign(ca, key.get()));
  CertificateAuthority authority;
  ASSIGN_OR_RETURN(authority.certificate_pem, CertificatePem(ca));
  ASSIGN_OR_RETURN(authority.key_pem, KeyPem(key.get()));
  return authority;
}

absl::StatusOr<KeyAndCsr> CreateKeyAndCsr(std::string_view common_name) {
  ASSIGN_OR_RETURN(KeyPtr key, NewKey());
  RequestPtr request(X509_REQ_new());
  RETURN_IF_ERROR(SetCommonName(X509_REQ_get_subject_name(request.get()), common_name));
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return Internal("could not make a signing request");
  }
  KeyAndCsr result;
  ASSIGN_OR_RETURN(result.key_pem, KeyPem(key.get()));
  result.csr_pem = BioText(bio.get());
  return result;
}

absl::StatusOr<std::string> SignCsr(const CertificateAuthority& ca, std::string_view csr_pem,
                                    const SignOptions& options) {
  if (!options.server && !options.client) {
    return absl::InvalidArgumentError("a certificate must be for a server, a client or both");
  }
  CertificatePtr issuer;
  KeyPtr issuer_key;
  RequestPtr request;
  RETURN_IF_ERROR(Annotate(ReadPem(ca.certificate_pem, &issuer), "CA certificate"));
  RETURN_IF_ERROR(Annotate(ReadPem(ca.key_pem.Reveal(), &issuer_key), "CA key"));
  RETURN_IF_ERROR(ReadRequest(csr_pem, &request));
  CertificatePtr certificate(X509_new());
  X509* leaf = certificate.get();
  X509_set_version(leaf, X509_VERSION_3);
  RETURN_IF_ERROR(SetSerial(leaf));
  RETURN_IF_ERROR(SetValidity(leaf, options.not_before, options.not_after));
  RETURN_IF_ERROR(SetSubject(leaf, request.get(), options));
  if (X509_set_issuer_name(leaf, X509_get_subject_name(issuer.get())) != 1 ||
      X509_set_pubkey(leaf, X509_REQ_get0_pubkey(request.get())) != 1) {
    return Internal("could not fill in a certificate");
  }
  RETURN_IF_ERROR(AddLeafExtensions(leaf, issuer.get(), options));
  RETURN_IF_ERROR(Sign(leaf, issuer_key.get()));
  return CertificatePem(leaf);
}

}  // namespace appsup
