#include "cli/doctor/check_storage.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/http/http_client.h"
#include "common/remote/azure_access.h"
#include "common/remote/azure_uri.h"
#include "common/remote/hadoop_configuration.h"
#include "common/remote/hdfs_place.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// The address of a server that answers for the URI.
absl::StatusOr<std::string> ServerOf(const std::string& uri) {
  const absl::string_view scheme = SchemeOf(uri);
  if (scheme == "http" || scheme == "https") return HttpOrigin(uri);
  SAMOVAR_ASSIGN_OR_RETURN(const HadoopConfiguration configuration, HadoopConfiguration::Load());
  if (absl::EndsWith(scheme, "hdfs")) {
    SAMOVAR_ASSIGN_OR_RETURN(const HdfsPlace place, FindHdfsPlace(uri, configuration));
    if (place.namenodes.empty()) return absl::NotFoundError("no namenode");
    return place.namenodes.front();
  }
  SAMOVAR_ASSIGN_OR_RETURN(const AzureUri parsed, ParseAzureUri(uri, configuration));
  HttpClient http;
  SAMOVAR_ASSIGN_OR_RETURN(const AzureAccess access, FindAzureAccess(parsed, configuration, &http));
  return access.endpoint;
}

}  // namespace

Finding CheckStorage(const std::string& uri, bool writes, const StorageTable& storage) {
  const std::string what = "storage";
  const absl::StatusOr<std::vector<StoredFile>> files = storage.List(uri);
  // A home, or a directory of exports, is made when it is needed.
  const bool is_new = absl::IsNotFound(files.status());
  if (!files.ok() && !(is_new && writes)) {
    return Wrong(what, absl::StrCat(uri, " cannot be listed: ", files.status().message()),
                 "see \"Storage and credentials\" in deploy/README.md; samovar fs ls tries the same");
  }
  const absl::Status writable = writes ? storage.CheckWritable(absl::StrCat(uri, "/doctor")) : absl::OkStatus();
  if (!writable.ok()) {
    return Wrong(what, absl::StrCat(uri, " cannot be written to: ", writable.message()),
                 "give this user, or the credential, the right to write there");
  }
  return Ok(what, is_new ? absl::StrCat(uri, " answers; nothing is there yet")
                         : absl::StrCat(uri, " can be listed: ", files->size(), " entries"));
}

std::optional<absl::Time> ParseHttpDate(absl::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &time, &error)) return std::nullopt;
  return time;
}

std::optional<absl::Duration> StorageClockOffset(const std::string& uri) {
  if (SchemeOf(WithoutFileScheme(uri)).empty()) return std::nullopt;
  const absl::StatusOr<std::string> server = ServerOf(uri);
  if (!server.ok()) return std::nullopt;
  HttpClient http;
  HttpRequest request;
  request.method = "HEAD";
  request.url = absl::StrCat(*server, "/");
  const absl::Time before = absl::Now();
  // Every answer, a refusal for instance, has the time in it.
  const absl::StatusOr<HttpResponse> response = http.Send(request);
  const absl::Time middle = before + (absl::Now() - before) / 2;
  if (!response.ok()) return std::nullopt;
  const std::optional<absl::Time> there = ParseHttpDate(response->Header("Date"));
  if (!there.has_value()) return std::nullopt;
  // A header has whole seconds, cut off.
  const absl::Duration off = middle - *there;
  return off > absl::ZeroDuration() && off < absl::Seconds(1) ? absl::ZeroDuration() : off;
}

}  // namespace samovar
