#include "common/remote/http_store.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/remote/byte_filler.h"

namespace samovar {
namespace {

// The part of a URI that may be shown: its query may hold a signature.
std::string Shown(const std::string& uri) { return uri.substr(0, uri.find('?')); }

absl::Status Failure(const std::string& uri, const HttpResponse& response) {
  const std::string said = absl::StrCat(Shown(uri), ": the server answers ", response.status);
  if (response.status == 404 || response.status == 410) return absl::NotFoundError(said);
  if (response.status == 401) return absl::UnauthenticatedError(said);
  if (response.status == 403) return absl::PermissionDeniedError(said);
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
  const HttpRequest request = {.method = "HEAD", .url = uri};
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, WithRetries(retries_, [&] { return http_->Send(request); }));
  if (!response.ok()) return Failure(uri, response);
  StoredFile file;
  if (!absl::SimpleAtoi(response.Header("Content-Length"), &file.bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(Shown(uri), ": the server does not say the file's length"));
  }
  const absl::string_view tag = response.Header("ETag");
  file.version = std::string(tag.empty() ? response.Header("Last-Modified") : tag);
  return file;
}

absl::StatusOr<std::vector<StoredFile>> HttpStore::List(const std::string& uri) {
  return absl::InvalidArgumentError(
      absl::StrCat(Shown(uri), ": http: and https: have files, but no directories that could be listed"));
}

absl::Status HttpStore::Read(const std::string& uri, const StoredFile& file, uint64_t offset, std::span<char> out) {
  const auto attempt = [&]() -> absl::StatusOr<HttpResponse> {
    HttpRequest request = {.url = uri};
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
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, WithRetries(retries_, attempt));
  return response.ok() ? absl::OkStatus() : Failure(uri, response);
}

absl::Status HttpStore::Write(const std::string& uri, int, uint64_t) { return ReadingOnly(uri); }

absl::Status HttpStore::Remove(const std::string& uri) { return ReadingOnly(uri); }

}  // namespace samovar
