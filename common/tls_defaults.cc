// What holds for every TLS context that this process makes from now on: those of libraries too.
#include <openssl/conf.h>

#include "common/check.h"
#include "common/openssl_handles.h"
#include "common/tls.h"

namespace appsup {
namespace {

// In the language of openssl.cnf(5). It takes the place of what the system's file says of TLS, so
// the least version is told too. OpenSSL ignores what is wrong with it.
constexpr char kDefaults[] = R"(appsup = modules
[modules]
ssl_conf = tls
[tls]
system_default = every_context
[every_context]
MinProtocol = TLSv1.2
NumTickets = 0
)";

}  // namespace

void SetTlsDefaults() {
  // The system's file is read at the first use: afterwards it would undo this.
  APPSUP_CHECK(OPENSSL_init_ssl(0, nullptr) == 1, "OpenSSL cannot be used");
  const BioPtr text(BIO_new_mem_buf(kDefaults, -1));
  const ConfPtr config(NCONF_new(nullptr));
  APPSUP_CHECK(NCONF_load_bio(config.get(), text.get(), nullptr) == 1, "a constant text");
  APPSUP_CHECK(CONF_modules_load(config.get(), "appsup", 0) > 0, "a constant text");
}

}  // namespace appsup
