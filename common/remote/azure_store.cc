#include "common/remote/azure_store.h"

#include <algorithm>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/remote/byte_filler.h"
#include "common/remote/md5.h"
#include "common/remote/pieces.h"
#include "common/remote/xml.h"

namespace samovar {
namespace {

// The service's bound.
constexpr uint64_t kMaxBlocks = 50'000;
constexpr size_t kListedAtOnce = 5000;
constexpr size_t kMaxCodeBytes = 100;

bool RefusesCredential(const absl::StatusOr<HttpResponse>& response) {
  return response.ok() && (response->status == 401 || response->status == 403);
}

// The error that an answer means which is no success.
absl::Status Failure(const std::string& uri, const AzureUri& parsed, const HttpResponse& response) {
  const std::string code = Printable(response.Header("x-ms-error-code"), kMaxCodeBytes);
  const std::string said =
      absl::StrCat(uri, ": the storage answers ", response.status, code.empty() ? "" : absl::StrCat(", ", code));
  switch (response.status) {
    case 401:
      return absl::UnauthenticatedError(absl::StrCat(said, "; the credential of ", parsed.account, " is not accepted"));
    case 403:
      return absl::PermissionDeniedError(absl::StrCat(said, "; the credential of ", parsed.account,
                                                      " does not allow it, or this machine's clock is wrong"));
    case 404:
      if (code == "ContainerNotFound") {
        return absl::NotFoundError(absl::StrCat(uri, ": there is no container \"", parsed.container, "\""));
      }
      return absl::NotFoundError(absl::StrCat(uri, ": there is nothing"));
    case 412:
      return absl::AbortedError(absl::StrCat(uri, ": was changed while it was read"));
    case 409:
      return absl::AbortedError(absl::StrCat(said, "; somebody else uses it"));
    default:
      return MayPassLater(response.status) ? absl::UnavailableError(said) : absl::InternalError(said);
  }
}

bool IsFolder(const HttpResponse& response) {
  return response.Header("x-ms-meta-hdi_isfolder") == "true" || response.Header("x-ms-resource-type") == "directory";
}

bool IsFolder(const XmlElement& blob) {
  const XmlElement* metadata = blob.Child("Metadata");
  const XmlElement* properties = blob.Child("Properties");
  return (metadata != nullptr && metadata->ChildText("hdi_isfolder") == "true") ||
         (properties != nullptr && properties->ChildText("ResourceType") == "directory");
}

std::string WithoutQuotes(std::string tag) {
  tag.erase(std::remove(tag.begin(), tag.end(), '"'), tag.end());
  return tag;
}

}  // namespace

AzureStore::AzureStore(std::shared_ptr<HttpClient> http, std::shared_ptr<ClusterConfiguration> configuration,
                       const RetryPolicy& retries)
    : http_(std::move(http)), configuration_(std::move(configuration)), retries_(retries) {}

absl::StatusOr<AzureUri> AzureStore::Parse(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<const HadoopConfiguration> configuration, configuration_->Get());
  return ParseAzureUri(uri, *configuration);
}

absl::StatusOr<AzureAccess> AzureStore::Access(const AzureUri& uri) {
  const std::pair<std::string, std::string> key = {uri.account, uri.container};
  {
    absl::MutexLock lock(&mu_);
    const auto found = accesses_.find(key);
    if (found != accesses_.end() && SteadyNow() < found->second.expires) return found->second;
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<const HadoopConfiguration> configuration, configuration_->Get());
  SAMOVAR_ASSIGN_OR_RETURN(const AzureAccess access, FindAzureAccess(uri, *configuration, http_.get()));
  absl::MutexLock lock(&mu_);
  accesses_.insert_or_assign(key, access);
  return access;
}

void AzureStore::ForgetAccess(const AzureUri& uri) {
  configuration_->Refresh();
  absl::MutexLock lock(&mu_);
  accesses_.erase({uri.account, uri.container});
}

absl::StatusOr<HttpResponse> AzureStore::Ask(const AzureUri& uri, const Call& call) {
  const auto attempt = [&](const RequestWatch& watch) -> absl::StatusOr<HttpResponse> {
    SAMOVAR_ASSIGN_OR_RETURN(const AzureAccess access, Access(uri));
    HttpRequest request = {.method = call.method, .headers = call.headers, .body = call.body, .watch = watch};
    request.url = absl::StrCat(access.endpoint, "/", uri.container);
    if (!call.of_container) absl::StrAppend(&request.url, "/", EncodeUrlPath(uri.path));
    request.url += call.query;
    if (call.make_sink) request.sink = call.make_sink();
    AuthorizeAzureRequest(access, uri.account, absl::Now(), &request);
    SAMOVAR_ASSIGN_OR_RETURN(HttpResponse response, http_->Send(request));
    if (response.ok() && call.check) SAMOVAR_RETURN_IF_ERROR(call.check(response));
    return response;
  };
  const std::string place = absl::StrCat(uri.account, ".", uri.suffix);
  absl::StatusOr<HttpResponse> response = WithRetries(retries_, place, attempt);
  if (!RefusesCredential(response)) return response;
  ForgetAccess(uri);
  return WithRetries(retries_, place, attempt);
}

absl::StatusOr<StoredFile> AzureStore::Stat(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const AzureUri parsed, Parse(uri));
  if (!parsed.path.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(parsed, {.method = "HEAD"}));
    if (response.ok()) {
      StoredFile file;
      file.is_directory = IsFolder(response);
      if (file.is_directory) return file;
      if (!absl::SimpleAtoi(response.Header("Content-Length"), &file.bytes)) {
        return absl::InternalError(absl::StrCat(uri, ": the storage does not say its length"));
      }
      file.version = WithoutQuotes(std::string(response.Header("ETag")));
      return file;
    }
    if (response.status != 404) return Failure(uri, parsed, response);
  }
  // Perhaps a directory.
  Entries entries;
  SAMOVAR_RETURN_IF_ERROR(ListPage(uri, parsed, "", "", 1, &entries).status());
  const bool is_there = !entries.files.empty() || entries.has_marker || !entries.further.empty();
  if (!is_there && !parsed.path.empty()) return absl::NotFoundError(absl::StrCat(uri, ": there is nothing"));
  return StoredFile{.is_directory = true};
}

absl::StatusOr<std::string> AzureStore::ListPage(const std::string& uri, const AzureUri& parsed,
                                                 const std::string& slashes, const std::string& marker,
                                                 size_t max_results, Entries* entries) {
  const std::string prefix = absl::StrCat(parsed.path, parsed.path.empty() ? "" : "/", slashes);
  Call call = {.of_container = true};
  call.query = absl::StrCat("?restype=container&comp=list&delimiter=%2F&include=metadata&maxresults=", max_results);
  if (!prefix.empty()) absl::StrAppend(&call.query, "&prefix=", EncodeUrlValue(prefix));
  if (!marker.empty()) absl::StrAppend(&call.query, "&marker=", EncodeUrlValue(marker));
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(parsed, call));
  if (!response.ok()) return Failure(uri, parsed, response);
  const absl::StatusOr<XmlElement> root = ParseXml(response.body);
  if (!root.ok()) return absl::InternalError(absl::StrCat(uri, ": the storage's list is ", root.status().message()));
  const XmlElement* blobs = root->Child("Blobs");
  for (const XmlElement& blob : blobs == nullptr ? std::vector<XmlElement>() : blobs->children) {
    const XmlElement* const named = blob.Child("Name");
    // A space at a name's end is its own.
    const std::string full_name = named == nullptr ? "" : named->text;
    absl::string_view name = full_name;
    if (!absl::ConsumePrefix(&name, prefix)) continue;
    const bool has_slash = absl::ConsumeSuffix(&name, "/");
    if (name.empty()) {
      // The blob that stands for the directory itself, or names with two slashes.
      if (has_slash) entries->further = absl::StrCat(slashes, "/");
      entries->has_marker = entries->has_marker || !has_slash;
      continue;
    }
    StoredFile file = {.name = absl::StrCat(slashes, name),
                       .is_directory = blob.name == "BlobPrefix" || IsFolder(blob)};
    if (const XmlElement* properties = blob.Child("Properties"); properties != nullptr && !file.is_directory) {
      if (!absl::SimpleAtoi(properties->ChildText("Content-Length"), &file.bytes)) {
        return absl::InternalError(absl::StrCat(uri, ": the storage does not say the length of ", Printable(name)));
      }
      file.version = WithoutQuotes(properties->ChildText("Etag"));
    }
    // A directory may be listed as a blob, too.
    if (const auto [there, is_new] = entries->files.emplace(file.name, file); !is_new && file.is_directory)
      there->second = file;
  }
  return root->ChildText("NextMarker");
}

absl::StatusOr<AzureStore::Entries> AzureStore::ListAll(const std::string& uri, const AzureUri& parsed) {
  Entries entries;
  std::string slashes;
  while (true) {
    entries.further.clear();
    std::string marker;
    do {
      SAMOVAR_ASSIGN_OR_RETURN(marker, ListPage(uri, parsed, slashes, marker, kListedAtOnce, &entries));
    } while (!marker.empty());
    if (entries.further.empty()) return entries;
    slashes = entries.further;
  }
}

absl::StatusOr<std::vector<StoredFile>> AzureStore::List(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const AzureUri parsed, Parse(uri));
  SAMOVAR_ASSIGN_OR_RETURN(Entries entries, ListAll(uri, parsed));
  if (entries.files.empty() && !entries.has_marker && !parsed.path.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(const StoredFile itself, Stat(uri));
    if (!itself.is_directory) return absl::FailedPreconditionError(absl::StrCat(uri, " is a file, not a directory"));
  }
  std::vector<StoredFile> result;
  for (auto& [name, file] : entries.files) result.push_back(std::move(file));
  return result;
}

absl::Status AzureStore::Read(const std::string& uri, const StoredFile& file, uint64_t offset, std::span<char> out) {
  SAMOVAR_ASSIGN_OR_RETURN(const AzureUri parsed, Parse(uri));
  std::shared_ptr<ByteFiller> filler;
  Call call;
  call.headers = {absl::StrCat("x-ms-range: bytes=", offset, "-", offset + out.size() - 1),
                  "x-ms-range-get-content-md5: true"};
  if (!file.version.empty()) call.headers.push_back(absl::StrCat("If-Match: \"", file.version, "\""));
  call.make_sink = [&] {
    filler = std::make_shared<ByteFiller>(out);
    return [filler](absl::string_view bytes) { return filler->Add(bytes); };
  };
  call.check = [&](const HttpResponse& response) -> absl::Status {
    if (!filler->full()) return absl::UnavailableError(absl::StrCat(uri, ": fewer bytes came than were asked for"));
    const absl::string_view expected = response.Header("Content-MD5");
    if (expected.empty() || response.status != 206) return absl::OkStatus();
    Md5 sum;
    sum.Add({out.data(), out.size()});
    if (sum.Base64() == expected) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(uri, ": bytes that came are not those that the storage sums up"));
  };
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(parsed, call));
  return response.ok() ? absl::OkStatus() : Failure(uri, parsed, response);
}

absl::Status AzureStore::WriteBlocks(const std::string& uri, const AzureUri& parsed, int fd, uint64_t bytes) {
  // Blocks of one writer are told from those of another who writes the same blob.
  const uint32_t writer = std::random_device()();
  const uint64_t mebibytes = (bytes / kMaxBlocks >> 20) + 1;
  const uint64_t block_bytes = std::max(kRemotePieceBytes, mebibytes << 20);
  const uint64_t blocks = (bytes + block_bytes - 1) / block_bytes;
  const auto id = [&](uint64_t block) { return absl::Base64Escape(absl::StrFormat("%08x-%08d", writer, block)); };
  SAMOVAR_RETURN_IF_ERROR(ForEachPiece(blocks, kRemoteRequests, [&](uint64_t block) -> absl::Status {
    const uint64_t offset = block * block_bytes;
    Call call = {.method = "PUT"};
    call.query = absl::StrCat("?comp=block&blockid=", EncodeUrlValue(id(block)));
    call.body = {.fd = fd, .offset = offset, .file_bytes = std::min(block_bytes, bytes - offset)};
    SAMOVAR_ASSIGN_OR_RETURN(const std::string sum, Md5OfFile(fd, offset, call.body.file_bytes));
    call.headers = {absl::StrCat("Content-MD5: ", sum)};
    SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(parsed, call));
    return response.ok() ? absl::OkStatus() : Failure(uri, parsed, response);
  }));
  std::string list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
  for (uint64_t block = 0; block < blocks; ++block) absl::StrAppend(&list, "<Latest>", id(block), "</Latest>");
  list += "</BlockList>";
  SAMOVAR_ASSIGN_OR_RETURN(const std::string whole, Md5OfFile(fd, 0, bytes));
  const Call commit = {.method = "PUT",
                       .query = "?comp=blocklist",
                       .headers = {absl::StrCat("x-ms-blob-content-md5: ", whole), "Content-Type: application/xml"},
                       .body = {.bytes = list}};
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(parsed, commit));
  if (response.status == 400 && response.Header("x-ms-error-code") == "InvalidBlockList") {
    return absl::AbortedError(absl::StrCat(uri, ": somebody else wrote it meanwhile"));
  }
  return response.ok() ? absl::OkStatus() : Failure(uri, parsed, response);
}

absl::Status AzureStore::Write(const std::string& uri, int fd, uint64_t bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const AzureUri parsed, Parse(uri));
  if (parsed.path.empty()) return absl::InvalidArgumentError(absl::StrCat(uri, ": is a container, not a file"));
  if (bytes > kRemotePieceBytes) return WriteBlocks(uri, parsed, fd, bytes);
  SAMOVAR_ASSIGN_OR_RETURN(const std::string sum, Md5OfFile(fd, 0, bytes));
  const Call call = {.method = "PUT",
                     .headers = {"x-ms-blob-type: BlockBlob", absl::StrCat("Content-MD5: ", sum),
                                 "Content-Type: application/octet-stream"},
                     .body = {.fd = fd, .file_bytes = bytes}};
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(parsed, call));
  return response.ok() ? absl::OkStatus() : Failure(uri, parsed, response);
}

absl::Status AzureStore::Create(const std::string& uri, absl::string_view bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const AzureUri parsed, Parse(uri));
  if (parsed.path.empty()) return absl::InvalidArgumentError(absl::StrCat(uri, ": is a container, not a file"));
  const Call call = {
      .method = "PUT",
      .headers = {"x-ms-blob-type: BlockBlob", "If-None-Match: *", "Content-Type: application/octet-stream"},
      .body = {.bytes = bytes}};
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(parsed, call));
  const bool is_there = response.status == 412 || response.Header("x-ms-error-code") == "BlobAlreadyExists";
  if (is_there) return absl::AlreadyExistsError(absl::StrCat(uri, ": is there already"));
  return response.ok() ? absl::OkStatus() : Failure(uri, parsed, response);
}

absl::StatusOr<std::vector<std::string>> AzureStore::ListMarkers(const std::string& uri, const AzureUri& parsed) {
  std::vector<std::string> markers;
  std::string slashes;
  while (true) {
    Entries entries;
    SAMOVAR_RETURN_IF_ERROR(ListPage(uri, parsed, slashes, "", 2, &entries).status());
    if (!entries.files.empty()) return absl::FailedPreconditionError(absl::StrCat(uri, ": the directory is not empty"));
    if (entries.has_marker) markers.push_back(absl::StrCat(parsed.path, "/", slashes));
    if (entries.further.empty()) return markers;
    slashes = entries.further;
  }
}

absl::Status AzureStore::Remove(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const AzureUri parsed, Parse(uri));
  if (parsed.path.empty()) return absl::InvalidArgumentError(absl::StrCat(uri, ": is a container, not a file"));
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse itself, Ask(parsed, {.method = "HEAD"}));
  if (!itself.ok() && itself.status != 404) return Failure(uri, parsed, itself);
  std::vector<std::string> names;
  if (!itself.ok() || IsFolder(itself)) {
    SAMOVAR_ASSIGN_OR_RETURN(names, ListMarkers(uri, parsed));
  }
  if (itself.ok()) names.push_back(parsed.path);
  if (names.empty()) return Failure(uri, parsed, itself);
  for (const std::string& name : names) {
    AzureUri blob = parsed;
    blob.path = name;
    SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(blob, {.method = "DELETE"}));
    if (!response.ok()) return Failure(uri, parsed, response);
  }
  return absl::OkStatus();
}

absl::Status AzureStore::MakeDirectory(const std::string& uri) { return Parse(uri).status(); }

absl::Status AzureStore::CheckWritable(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const AzureUri parsed, Parse(uri));
  if (parsed.path.empty()) return absl::InvalidArgumentError(absl::StrCat(uri, ": is a container, not a file"));
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask(parsed, {.method = "HEAD"}));
  if (response.ok()) return absl::OkStatus();
  const absl::string_view code = response.Header("x-ms-error-code");
  // A signature of shared access may allow writing alone.
  if (response.status == 403 && code == "AuthorizationPermissionMismatch") return absl::OkStatus();
  if (response.status == 404 && code != "ContainerNotFound") return absl::OkStatus();
  return Failure(uri, parsed, response);
}

}  // namespace samovar
