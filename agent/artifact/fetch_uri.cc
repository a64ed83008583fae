// The part of Fetch that speaks HTTP, and reads files, by libcurl.
#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string_view>

#include "agent/artifact/artifact_error.h"
#include "agent/artifact/fetch.h"
#include "common/build_info.h"
#include "common/status.h"
#include "common/text_units.h"

namespace appsup::agent {
namespace {

constexpr long kMaxRedirects = 10;
constexpr long kFirstHttpError = 400;

bool WorthAnotherTry(long status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

bool WorthAnotherTry(CURLcode result) {
  switch (result) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_FILE_COULDNT_READ_FILE:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_REMOTE_ACCESS_DENIED:
      return false;
    default:
      return true;
  }
}

}  // namespace

struct Fetch::Transfer {
  Transfer(Fetch* fetch_in, const Progress& progress_in) : fetch(fetch_in), progress(progress_in) {}
  ~Transfer() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }

  Fetch* const fetch;
  const Progress& progress;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::string etag;  // Of the answer that comes in now.
  bool body_begun = false;
  absl::Status write_error;  // Why OnBody ended the transfer.
  char error[CURL_ERROR_SIZE] = {};

  long Status() const {
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
  }

  static size_t OnHeader(char* data, size_t size, size_t count, void* user) {
    auto* self = static_cast<Transfer*>(user);
    std::string_view line(data, size * count);
    if (line.rfind("HTTP/", 0) == 0) self->etag.clear();  // A redirect's answer is over.
    constexpr std::string_view kName = "etag:";
    const bool is_etag =
        line.size() > kName.size() &&
        std::equal(kName.begin(), kName.end(), line.begin(), [](char expected, char c) {
          return expected == std::tolower(static_cast<unsigned char>(c));
        });
    if (is_etag) {
      line.remove_prefix(kName.size());
      const size_t quote = line.find('"');
      const size_t end = line.rfind('"');
      const bool weak = line.substr(0, quote).find("W/") != std::string_view::npos;
      if (quote != end && !weak) self->etag = std::string(line.substr(quote, end - quote + 1));
    }
    return size * count;
  }

  static size_t OnBody(char* data, size_t size, size_t count, void* user) {
    auto* self = static_cast<Transfer*>(user);
    const long status = self->Status();
    if (status >= kFirstHttpError) return size * count;  // An error page.
    if (!self->body_begun) {
      self->body_begun = true;
      // The whole again, although a part was asked for.
      if (status == 200 && self->fetch->size_ > 0) self->write_error = self->fetch->Restart();
      self->fetch->etag_ = self->etag;
    }
    if (self->write_error.ok()) self->write_error = self->fetch->Write({data, size * count});
    return self->write_error.ok() ? size * count : 0;
  }

  static int OnProgress(void* user, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
    auto* self = static_cast<Transfer*>(user);
    if (*self->fetch->cancelled_) return 1;
    // libcurl counts from where this try began.
    const int64_t base = self->fetch->size_ - now;
    if (self->body_begun) self->progress(self->fetch->size_, total > 0 ? base + total : -1);
    return 0;
  }

  void Configure() {
    easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, fetch->request_.uri.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, kMaxRedirects);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "appsup-agent/" APPSUP_VERSION);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(absl::ToInt64Milliseconds(fetch->limits_.connect_timeout)));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    const int64_t stall = std::max<int64_t>(1, absl::ToInt64Seconds(fetch->limits_.stall_timeout));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(stall));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, OnHeader);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, OnBody);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, OnProgress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, this);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                     static_cast<curl_off_t>(fetch->limits_.max_bytes));
    if (fetch->size_ == 0) return;
    curl_easy_setopt(easy, CURLOPT_RANGE, (std::to_string(fetch->size_) + "-").c_str());
    if (fetch->etag_.empty()) return;
    headers = curl_slist_append(headers, ("If-Range: " + fetch->etag_).c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  }

  std::string Words(CURLcode result) const {
    std::string words = error[0] != '\0' ? error : curl_easy_strerror(result);
    // "Failed to connect" alone does not say whether it was refused or unreachable.
    long error_number = 0;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error_number);
    if (result == CURLE_COULDNT_CONNECT && error_number != 0) {
      words += std::string(" (") + strerrordesc_np(static_cast<int>(error_number)) + ")";
    }
    return words;
  }

  absl::Status Result(CURLcode result) const {
    RETURN_IF_ERROR(write_error);
    const std::string what = "fetch " + fetch->request_.Display() + ": ";
    if (result == CURLE_ABORTED_BY_CALLBACK) {
      return absl::CancelledError("nobody waits for it any more");
    }
    if (result == CURLE_FILESIZE_EXCEEDED) {
      return ArtifactTooLarge(what + "it has more than " + FormatBytes(fetch->limits_.max_bytes) +
                              ", the most that an artifact may have");
    }
    if (result != CURLE_OK) {
      const bool absent = result == CURLE_FILE_COULDNT_READ_FILE;
      const auto code = absent                    ? absl::StatusCode::kNotFound
                        : WorthAnotherTry(result) ? absl::StatusCode::kUnavailable
                                                  : absl::StatusCode::kFailedPrecondition;
      return MakeError(code, absent ? kArtifactNotFound : kArtifactUnreachable,
                       what + Words(result));
    }
    const long status = Status();
    if (status < kFirstHttpError) return absl::OkStatus();
    const bool absent = status == 404 || status == 410;
    const auto code = absent                    ? absl::StatusCode::kNotFound
                      : WorthAnotherTry(status) ? absl::StatusCode::kUnavailable
                                                : absl::StatusCode::kFailedPrecondition;
    return MakeError(code, absent ? kArtifactNotFound : kArtifactUnreachable,
                     what + "HTTP status " + std::to_string(status));
  }
};

absl::Status Fetch::TryUri(const Progress& progress) {
  Transfer transfer(this, progress);
  transfer.Configure();
  const CURLcode result = curl_easy_perform(transfer.easy);
  // The part that is there is not a part of what is there now.
  if (transfer.Status() == 416 && size_ > 0) {
    RETURN_IF_ERROR(Restart());
    return MakeError(absl::StatusCode::kUnavailable, kArtifactUnreachable,
                     "fetch " + request_.Display() + ": it changed while it was fetched");
  }
  return transfer.Result(result);
}

}  // namespace appsup::agent
