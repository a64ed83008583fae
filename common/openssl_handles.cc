#include "common/openssl_handles.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "fmt/format.h"

namespace appsup {
namespace {

BioPtr BioOf(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// An encrypted key has nobody to ask for its password.
int NoPassword(char*, int, int, void*) { return -1; }

}  // namespace

absl::Status OpenSslError(absl::StatusCode code, std::string_view what) {
  std::string message(what);
  while (unsigned long error = ERR_get_error()) {
    char text[256];
    ERR_error_string_n(error, text, sizeof text);
    message += fmt::format("; {}", text);
  }
  return absl::Status(code, message);
}

absl::Status ReadPem(std::string_view pem, CertificatePtr* certificate) {
  certificate->reset(PEM_read_bio_X509(BioOf(pem).get(), nullptr, NoPassword, nullptr));
  if (*certificate != nullptr) return absl::OkStatus();
  return OpenSslError(absl::StatusCode::kInvalidArgument, "not a certificate in PEM form");
}

absl::Status ReadPem(std::string_view pem, RequestPtr* request) {
  request->reset(PEM_read_bio_X509_REQ(BioOf(pem).get(), nullptr, NoPassword, nullptr));
  if (*request != nullptr) return absl::OkStatus();
  return OpenSslError(absl::StatusCode::kInvalidArgument, "not a signing request in PEM form");
}

absl::Status ReadPem(std::string_view pem, KeyPtr* private_key) {
  private_key->reset(PEM_read_bio_PrivateKey(BioOf(pem).get(), nullptr, NoPassword, nullptr));
  if (*private_key != nullptr) return absl::OkStatus();
  return OpenSslError(absl::StatusCode::kInvalidArgument, "not a private key in PEM form");
}

std::string BioText(BIO* bio) {
  char* data = nullptr;
  long length = BIO_get_mem_data(bio, &data);
  return length > 0 ? std::string(data, static_cast<size_t>(length)) : std::string();
}

}  // namespace appsup
