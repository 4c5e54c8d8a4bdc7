#include "common/remote/http_store.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/remote/byte_filler.h"

namespace samovar {
namespace {

// The part of a URI that may be shown: its query may hold a signature.
std::string Shown(const std::string& uri) {
  const std::string origin = HttpOrigin(uri);
  const size_t host = uri.find("://");
  const size_t path = host == std::string::npos ? host : uri.find('/', host + 3);
  if (path == std::string::npos) return origin;
  return origin + uri.substr(path, uri.find('?', path) - path);
}

// A URI is kept with jobs, in lists and in logs: no place for a password.
absl::Status CheckWithoutPassword(const std::string& uri) {
  const size_t host = uri.find("://");
  const std::string authority =
      host == std::string::npos ? "" : uri.substr(host + 3, uri.find('/', host + 3) - host - 3);
  if (authority.find('@') == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Shown(uri), ": a user or a password in a URI is not offered: it would stand in jobs and in logs"));
}

// Whether a byte of a URL may stay as it is (RFC 3986); a "%" is that of an encoded byte, and "#" is refused.
bool MayStandInUrl(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-._~:/?[]@!$&'()*+,;=", c);
}

// The URL that a server is asked for: bytes that no URL can have are encoded, such as blanks and letters beyond ASCII;
// what is encoded stays.
absl::StatusOr<std::string> UrlOf(const std::string& uri) {
  SAMOVAR_RETURN_IF_ERROR(CheckWithoutPassword(uri));
  std::string url;
  for (size_t i = 0; i < uri.size(); ++i) {
    const char c = uri[i];
    const bool is_encoded = c == '%' && i + 2 < uri.size() &&
                            absl::ascii_isxdigit(static_cast<unsigned char>(uri[i + 1])) &&
                            absl::ascii_isxdigit(static_cast<unsigned char>(uri[i + 2]));
    if (c == '#' || absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(absl::StrCat(
          Printable(Shown(uri)), ": has ", c == '#' ? "a \"#\"" : "a control character",
          ", which a URL has in its file's name as ", absl::StrFormat("%%%02X", static_cast<unsigned char>(c))));
    }
    if (is_encoded || MayStandInUrl(c)) {
      url.push_back(c);
    } else {
      absl::StrAppendFormat(&url, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return url;
}

// The part that tells one version of the file from another; empty: the server does not say.
std::string VersionOf(const HttpResponse& response) {
  const absl::string_view tag = response.Header("ETag");
  return std::string(tag.empty() ? response.Header("Last-Modified") : tag);
}

absl::Status Failure(const std::string& uri, const HttpResponse& response) {
  const std::string said = absl::StrCat(Shown(uri), ": the server answers ", response.status);
  if (response.status >= 300 && response.status < 400) {
    return absl::InvalidArgumentError(
        absl::StrCat(said, "; it has the file elsewhere, and redirects are not followed"));
  }
  if (response.status == 404 || response.status == 410) return absl::NotFoundError(said);
  const std::string unsigned_url =
      uri.find('?') == std::string::npos
          ? "; if it needs a signature, write the whole URL: a relative name beside a signed URL has none"
          : "";
  if (response.status == 401) return absl::UnauthenticatedError(said + unsigned_url);
  if (response.status == 403) return absl::PermissionDeniedError(said + unsigned_url);
  if (response.status == 412) return absl::AbortedError(absl::StrCat(Shown(uri), ": was changed while it was read"));
  return MayPassLater(response.status) ? absl::UnavailableError(said) : absl::InternalError(said);
}

absl::Status ReadingOnly(const std::string& uri) {
  return absl::InvalidArgumentError(absl::StrCat(Shown(uri), ": http: and https: are for reading"));
}

}  // namespace

HttpStore::HttpStore(std::shared_ptr<HttpClient> http, const RetryPolicy& retries)
    : http_(std::move(http)), retries_(retries) {}

absl::StatusOr<StoredFile> HttpStore::Stat(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string url, UrlOf(uri));
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response,
                           WithRetries(retries_, HttpOrigin(uri), [&](const RequestWatch& watch) {
                             return http_->Send({.method = "HEAD", .url = url, .watch = watch});
                           }));
  if (!response.ok()) return Failure(uri, response);
  StoredFile file;
  if (!absl::SimpleAtoi(response.Header("Content-Length"), &file.bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(Shown(uri), ": the server does not say the file's length"));
  }
  file.version = VersionOf(response);
  return file;
}

absl::StatusOr<std::vector<StoredFile>> HttpStore::List(const std::string& uri) {
  return absl::InvalidArgumentError(
      absl::StrCat(Shown(uri), ": http: and https: have files, but no directories that could be listed"));
}

absl::Status HttpStore::Read(const std::string& uri, const StoredFile& file, uint64_t offset, std::span<char> out) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string url, UrlOf(uri));
  const auto attempt = [&](const RequestWatch& watch) -> absl::StatusOr<HttpResponse> {
    HttpRequest request = {.url = url, .watch = watch};
    const bool is_whole = offset == 0 && out.size() == file.bytes;
    if (!is_whole) request.headers.push_back(absl::StrCat("Range: bytes=", offset, "-", offset + out.size() - 1));
    // A strong tag: the bytes of one version.
    if (absl::StartsWith(file.version, "\"")) request.headers.push_back(absl::StrCat("If-Match: ", file.version));
    ByteFiller filler(out);
    bool is_other = false;
    request.sink = [&](absl::string_view bytes) {
      const absl::Status added = filler.Add(bytes);
      is_other = !added.ok();
      return added;
    };
    absl::StatusOr<HttpResponse> response = http_->Send(request);
    if (is_other || (response.ok() && response->status == 200 && !is_whole)) {
      return absl::InvalidArgumentError(absl::StrCat(
          Shown(uri), ": the server does not send parts of files, or the file was changed while it was read"));
    }
    if (response.ok() && response->ok() && !filler.full()) {
      return absl::UnavailableError(absl::StrCat(Shown(uri), ": fewer bytes came than were asked for"));
    }
    return response;
  };
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, WithRetries(retries_, HttpOrigin(uri), attempt));
  if (!response.ok()) return Failure(uri, response);
  // Not every server heeds If-Match.
  const std::string version = VersionOf(response);
  if (version.empty() || file.version.empty() || version == file.version) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(Shown(uri), ": was changed while it was read"));
}

absl::Status HttpStore::CheckWritable(const std::string& uri) { return ReadingOnly(uri); }

absl::Status HttpStore::MakeDirectory(const std::string& uri) { return ReadingOnly(uri); }

absl::Status HttpStore::Write(const std::string& uri, int, uint64_t) { return ReadingOnly(uri); }

absl::Status HttpStore::Create(const std::string& uri, absl::string_view) { return ReadingOnly(uri); }

absl::Status HttpStore::Remove(const std::string& uri) { return ReadingOnly(uri); }

}  // namespace samovar
