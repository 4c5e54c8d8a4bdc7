#include "common/http/http_client.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// The certificates of the system; a bundle's own OpenSSL has none.
constexpr const char* kCertificateFiles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"};

std::string CertificateFile() {
  for (const char* name : {"SAMOVAR_CA_FILE", "SSL_CERT_FILE"}) {
    const char* file = std::getenv(name);
    if (file != nullptr && *file != '\0') return file;
  }
  for (const char* file : kCertificateFiles) {
    if (access(file, R_OK) == 0) return file;
  }
  return "";
}

void InitialiseOnce() { [[maybe_unused]] static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT); }

// The state of a request, for the functions that libcurl calls.
struct Exchange {
  CURL* curl = nullptr;
  const HttpRequest* request = nullptr;
  HttpResponse response;
  uint64_t sent = 0;
  // Bytes that have come and gone, and since when there are no more.
  curl_off_t moved = 0;
  absl::Time moved_at = SteadyNow();
  absl::Status failure;
};

int StatusOf(CURL* curl) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

size_t TakeHeader(char* data, size_t, size_t bytes, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  const absl::string_view line = absl::StripAsciiWhitespace(absl::string_view(data, bytes));
  // A further answer (after "100 Continue", or to a second try with a ticket) replaces the one before.
  if (absl::StartsWith(line, "HTTP/")) exchange.response.headers.clear();
  if (!line.empty()) exchange.response.headers.emplace_back(line);
  return bytes;
}

size_t TakeBody(char* data, size_t, size_t bytes, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  const int status = StatusOf(exchange.curl);
  if (exchange.request->sink != nullptr && status >= 200 && status < 300) {
    exchange.failure = exchange.request->sink(absl::string_view(data, bytes));
    return exchange.failure.ok() ? bytes : 0;
  }
  if (exchange.response.body.size() + bytes > HttpClient::kMaxKeptBytes) {
    exchange.failure = absl::ResourceExhaustedError(absl::StrCat(
        HttpOrigin(exchange.request->url), ": the answer is longer than ", HttpClient::kMaxKeptBytes, " bytes"));
    return 0;
  }
  exchange.response.body.append(data, bytes);
  return bytes;
}

size_t GiveBody(char* data, size_t, size_t room, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  const HttpBody& body = exchange.request->body;
  size_t count = std::min<uint64_t>(room, body.size() - exchange.sent);
  if (body.fd >= 0 && count > 0) {
    ssize_t got = -1;
    do {
      got = pread(body.fd, data, count, static_cast<off_t>(body.offset + exchange.sent));
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
      exchange.failure = absl::DataLossError("a file that is sent cannot be read, or became shorter");
      return CURL_READFUNC_ABORT;
    }
    count = static_cast<size_t>(got);
  } else if (count > 0) {
    std::copy_n(body.bytes.data() + exchange.sent, count, data);
  }
  exchange.sent += count;
  return count;
}

int Watch(void* user, curl_off_t, curl_off_t received, curl_off_t, curl_off_t sent) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  const absl::Time now = SteadyNow();
  if (received + sent != exchange.moved) {
    exchange.moved = received + sent;
    exchange.moved_at = now;
  }
  exchange.failure = exchange.request->watch(now - exchange.moved_at);
  return exchange.failure.ok() ? 0 : 1;
}

// For a second try of libcurl's own, on another connection or with a ticket.
int SeekBody(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Exchange*>(user)->sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

class HeaderList {
 public:
  explicit HeaderList(const std::vector<std::string>& headers) {
    for (const std::string& header : headers) Add(header);
    // Without this libcurl waits a second for "100 Continue".
    Add("Expect:");
  }
  ~HeaderList() { curl_slist_free_all(list_); }
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;

  curl_slist* get() const { return list_; }

 private:
  void Add(const std::string& header) {
    curl_slist* longer = curl_slist_append(list_, header.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    list_ = longer;
  }
  curl_slist* list_ = nullptr;
};

template <typename Value>
void Set(CURL* curl, CURLoption option, Value value) {
  curl_easy_setopt(curl, option, value);
}

void SetMethod(CURL* curl, const HttpRequest& request) {
  if (request.method == "HEAD") {
    Set(curl, CURLOPT_NOBODY, 1L);
  } else if (request.method == "PUT" || request.method == "POST") {
    // The length is told for no bytes as well.
    Set(curl, CURLOPT_UPLOAD, 1L);
    Set(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    Set(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method != "GET") {
    Set(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

void SetLimits(CURL* curl, const HttpRequest& request) {
  // Threads, not signals.
  Set(curl, CURLOPT_NOSIGNAL, 1L);
  Set(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(request.connect_timeout)));
  Set(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  Set(curl, CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(absl::ToInt64Seconds(request.stall))));
#if LIBCURL_VERSION_NUM >= 0x075500
  Set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  Set(curl, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  // The clouds' and Hadoop's servers speak it; one connection a request keeps requests apart.
  Set(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  if (request.direct) Set(curl, CURLOPT_NOPROXY, "*");
  if (request.negotiate) {
    Set(curl, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_NEGOTIATE));
    Set(curl, CURLOPT_USERPWD, ":");
  }
}

}  // namespace

class HttpClient::Handle {
 public:
  Handle() : curl_(curl_easy_init()) {
    if (curl_ == nullptr) throw std::bad_alloc();
  }
  ~Handle() { curl_easy_cleanup(curl_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) {
    // Keeps the connections.
    curl_easy_reset(curl_);
    Exchange exchange;
    exchange.curl = curl_;
    exchange.request = &request;
    const HeaderList headers(request.headers);
    char reason[CURL_ERROR_SIZE] = "";
    static const std::string certificates = CertificateFile();
    Set(curl_, CURLOPT_URL, request.url.c_str());
    Set(curl_, CURLOPT_HTTPHEADER, headers.get());
    Set(curl_, CURLOPT_ERRORBUFFER, reason);
    if (!certificates.empty()) Set(curl_, CURLOPT_CAINFO, certificates.c_str());
    SetMethod(curl_, request);
    SetLimits(curl_, request);
    Set(curl_, CURLOPT_HEADERFUNCTION, TakeHeader);
    Set(curl_, CURLOPT_HEADERDATA, &exchange);
    Set(curl_, CURLOPT_WRITEFUNCTION, TakeBody);
    Set(curl_, CURLOPT_WRITEDATA, &exchange);
    Set(curl_, CURLOPT_READFUNCTION, GiveBody);
    Set(curl_, CURLOPT_READDATA, &exchange);
    Set(curl_, CURLOPT_SEEKFUNCTION, SeekBody);
    Set(curl_, CURLOPT_SEEKDATA, &exchange);
    if (request.watch != nullptr) {
      Set(curl_, CURLOPT_NOPROGRESS, 0L);
      Set(curl_, CURLOPT_XFERINFOFUNCTION, Watch);
      Set(curl_, CURLOPT_XFERINFODATA, &exchange);
    }
    const CURLcode code = curl_easy_perform(curl_);
    Set(curl_, CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
    if (!exchange.failure.ok()) return exchange.failure;
    if (code == CURLE_OK) {
      exchange.response.status = StatusOf(curl_);
      return std::move(exchange.response);
    }
    const std::string why =
        absl::StrCat(HttpOrigin(request.url), ": ",
                     Printable(absl::string_view(*reason != '\0' ? reason : curl_easy_strerror(code))));
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) return absl::InvalidArgumentError(why);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
      return absl::FailedPreconditionError(
          absl::StrCat(why, "; SAMOVAR_CA_FILE names a file of certificates to be trusted"));
    }
    return absl::UnavailableError(why);
  }

 private:
  CURL* const curl_;
};

absl::string_view HttpResponse::Header(absl::string_view name) const {
  for (const std::string& header : headers) {
    absl::string_view rest = header;
    if (rest.size() > name.size() && rest[name.size()] == ':' &&
        absl::EqualsIgnoreCase(rest.substr(0, name.size()), name)) {
      rest.remove_prefix(name.size() + 1);
      return absl::StripAsciiWhitespace(rest);
    }
  }
  return "";
}

HttpClient::HttpClient() { InitialiseOnce(); }

HttpClient::~HttpClient() = default;

absl::StatusOr<HttpResponse> HttpClient::Send(const HttpRequest& request) {
  std::unique_ptr<Handle> handle = Take();
  absl::StatusOr<HttpResponse> response = handle->Send(request);
  Keep(std::move(handle));
  return response;
}

std::unique_ptr<HttpClient::Handle> HttpClient::Take() {
  absl::MutexLock lock(&mu_);
  if (idle_.empty()) return std::make_unique<Handle>();
  std::unique_ptr<Handle> handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void HttpClient::Keep(std::unique_ptr<Handle> handle) {
  absl::MutexLock lock(&mu_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(handle));
}

std::string HttpOrigin(absl::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == absl::string_view::npos) return "an HTTP server";
  const size_t end = url.find_first_of("/?#", scheme + 3);
  absl::string_view origin = url.substr(0, end);
  // "user:password@" stays hidden.
  const size_t at = origin.rfind('@');
  if (at != absl::string_view::npos) return absl::StrCat(url.substr(0, scheme + 3), Printable(origin.substr(at + 1)));
  return Printable(origin);
}

namespace {

std::string Encode(absl::string_view text, absl::string_view kept) {
  std::string encoded;
  for (const char character : text) {
    if (absl::ascii_isalnum(character) || absl::StrContains(kept, character)) {
      encoded.push_back(character);
    } else {
      absl::StrAppendFormat(&encoded, "%%%02X", static_cast<unsigned char>(character));
    }
  }
  return encoded;
}

}  // namespace

std::string EncodeUrlPath(absl::string_view path) { return Encode(path, "-._~/"); }

std::string EncodeUrlValue(absl::string_view value) { return Encode(value, "-._~"); }

absl::StatusOr<std::string> DecodeUrl(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
    } else if (i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) && absl::ascii_isxdigit(text[i + 2])) {
      decoded += absl::HexStringToBytes(text.substr(i + 1, 2));
      i += 2;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", Printable(text), "\" has a % without two hexadecimal digits"));
    }
  }
  return decoded;
}

}  // namespace samovar
