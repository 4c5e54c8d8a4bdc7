#include "common/remote/webhdfs_store.h"

#include <pwd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <random>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/printable.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/remote/byte_filler.h"
#include "common/remote/hadoop_tokens.h"
#include "common/remote/json.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

using google::protobuf::Struct;

constexpr size_t kMaxSaidBytes = 300;

std::string UserName() {
  const char* user = std::getenv("HADOOP_USER_NAME");
  if (user != nullptr && *user != '\0') return user;
  const passwd* self = getpwuid(geteuid());
  return self != nullptr ? self->pw_name : absl::StrCat(geteuid());
}

// The exception that a namenode answers with; empty if it answers otherwise.
std::string ExceptionOf(const HttpResponse& response) {
  const auto object = ParseJson(response.body);
  return object.ok() ? JsonText(JsonObject(*object, "RemoteException"), "exception") : "";
}

bool IsStandby(const HttpResponse& response) {
  if (response.status != 403) return false;
  const std::string exception = ExceptionOf(response);
  return exception == "StandbyException" || exception == "RetriableException" || exception == "SafeModeException";
}

// A file whose writer has gone cannot be appended to before the namenode has taken it from that writer.
bool IsStillWritten(const HttpResponse& response) {
  if (response.ok()) return false;
  const std::string exception = ExceptionOf(response);
  return exception == "AlreadyBeingCreatedException" || exception == "RecoveryInProgressException";
}

// "/d/.NAME." before what tells the writers of "/d/NAME" from each other, and ".tmp" behind it.
std::string WrittenPrefix(const std::string& path) {
  const size_t slash = path.rfind('/');
  return absl::StrCat(path.substr(0, slash), "/.", path.substr(slash + 1), ".");
}

constexpr absl::string_view kWrittenSuffix = ".tmp";
constexpr size_t kWriterDigits = 8;

// The name by which people know it, also where a URI names none.
std::string PlaceOf(const HdfsPlace& place) { return absl::StrCat("hdfs://", place.authority); }

// The error that an answer means which is no success.
absl::Status Failure(const std::string& uri, const HttpResponse& response) {
  const auto object = ParseJson(response.body);
  const Struct none;
  const Struct& remote = object.ok() ? JsonObject(*object, "RemoteException") : none;
  const std::string exception = Printable(JsonText(remote, "exception"), kMaxSaidBytes);
  const std::string message = JsonText(remote, "message");
  const std::string said =
      absl::StrCat(uri, ": HDFS answers ", response.status, exception.empty() ? "" : ", ", exception,
                   message.empty() ? "" : ": ", Printable(message.substr(0, message.find('\n')), kMaxSaidBytes));
  if (exception == "FileNotFoundException") return absl::NotFoundError(absl::StrCat(uri, ": there is nothing"));
  if (exception == "PathIsNotEmptyDirectoryException") {
    return absl::FailedPreconditionError(absl::StrCat(uri, ": the directory is not empty"));
  }
  if (exception == "AccessControlException") return absl::PermissionDeniedError(said);
  if (IsStillWritten(response)) return absl::UnavailableError(said);
  if (exception == "SecurityException" || exception == "InvalidToken" || response.status == 401) {
    return absl::UnauthenticatedError(said);
  }
  if (exception == "IllegalArgumentException" || exception == "InvalidPathException") {
    return absl::InvalidArgumentError(said);
  }
  if (exception == "FileAlreadyExistsException" || exception == "ParentNotDirectoryException") {
    return absl::FailedPreconditionError(said);
  }
  if (exception == "DSQuotaExceededException" || exception == "NSQuotaExceededException") {
    return absl::ResourceExhaustedError(said);
  }
  if (response.status == 404) return absl::NotFoundError(absl::StrCat(said, "; is WebHDFS switched on there?"));
  if (MayPassLater(response.status) || IsStandby(response)) return absl::UnavailableError(said);
  return absl::InternalError(said);
}

StoredFile FileOf(const Struct& status) {
  StoredFile file = {.name = JsonText(status, "pathSuffix"), .is_directory = JsonText(status, "type") == "DIRECTORY"};
  if (file.is_directory) return file;
  file.bytes = JsonNumber(status, "length");
  file.version = absl::StrCat(JsonNumber(status, "modificationTime"), "-", JsonNumber(status, "fileId"));
  return file;
}

}  // namespace

WebHdfsStore::WebHdfsStore(std::shared_ptr<HttpClient> http, std::shared_ptr<ClusterConfiguration> configuration,
                           const RetryPolicy& retries)
    : http_(std::move(http)), configuration_(std::move(configuration)), retries_(retries) {}

absl::StatusOr<WebHdfsStore::Asker> WebHdfsStore::Parse(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<const HadoopConfiguration> configuration, configuration_->Get());
  Asker asker = {.uri = uri};
  SAMOVAR_ASSIGN_OR_RETURN(asker.place, FindHdfsPlace(uri, *configuration));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string token, FindHdfsToken(asker.place.authority));
  if (!token.empty()) {
    asker.credential = absl::StrCat("&delegation=", token);
  } else if (configuration->Get("hadoop.security.authentication") == "kerberos") {
    asker.negotiate = true;
  } else {
    asker.credential = absl::StrCat("&user.name=", EncodeUrlValue(UserName()));
  }
  return asker;
}

absl::StatusOr<HttpResponse> WebHdfsStore::AskOnce(const Asker& asker, const std::string& path,
                                                   const std::string& method, const std::string& operation,
                                                   const RequestWatch& watch) {
  const std::vector<std::string>& namenodes = asker.place.namenodes;
  size_t first = 0;
  {
    absl::MutexLock lock(&mu_);
    first = active_[asker.place.authority] % namenodes.size();
  }
  absl::StatusOr<HttpResponse> response;
  for (size_t i = 0; i < namenodes.size(); ++i) {
    const size_t node = (first + i) % namenodes.size();
    HttpRequest request = {.method = method, .watch = watch};
    request.url = absl::StrCat(namenodes[node], "/webhdfs/v1", EncodeUrlPath(path), "?", operation, asker.credential);
    request.negotiate = asker.negotiate;
    response = http_->Send(request);
    if (response.ok() && !IsStandby(*response)) {
      absl::MutexLock lock(&mu_);
      active_[asker.place.authority] = node;
      return response;
    }
    if (!response.ok() && !absl::IsUnavailable(response.status())) return response;
  }
  if (response.ok()) return Failure(asker.uri, *response);
  return absl::UnavailableError(absl::StrCat(asker.uri, ": ", response.status().message()));
}

absl::StatusOr<HttpResponse> WebHdfsStore::AskNameNode(const Asker& asker, const std::string& path,
                                                       const std::string& method, const std::string& operation) {
  return WithRetries(retries_, PlaceOf(asker.place),
                     [&](const RequestWatch& watch) { return AskOnce(asker, path, method, operation, watch); });
}

absl::StatusOr<Struct> WebHdfsStore::AskForObject(const Asker& asker, const std::string& path,
                                                  const std::string& method, const std::string& operation) {
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, AskNameNode(asker, path, method, operation));
  if (!response.ok()) return Failure(asker.uri, response);
  if (response.body.empty()) return Struct();
  absl::StatusOr<Struct> object = ParseJson(response.body);
  if (!object.ok()) {
    return absl::InternalError(
        absl::StrCat(asker.uri, ": ", HttpOrigin(asker.place.namenodes.front()), " does not answer as WebHDFS does"));
  }
  return object;
}

absl::StatusOr<std::string> WebHdfsStore::AskForDataNode(const Asker& asker, const std::string& path,
                                                         const std::string& method, const std::string& operation,
                                                         const RequestWatch& watch) {
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response,
                           AskOnce(asker, path, method, absl::StrCat(operation, "&noredirect=true"), watch));
  if (!response.ok()) return Failure(asker.uri, response);
  const auto object = ParseJson(response.body);
  const std::string location = object.ok() ? JsonText(*object, "Location") : "";
  if (location.empty()) return absl::InternalError(absl::StrCat(asker.uri, ": HDFS names no datanode"));
  return location;
}

absl::StatusOr<StoredFile> WebHdfsStore::Stat(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const Asker asker, Parse(uri));
  return StatPath(asker, asker.place.path);
}

absl::StatusOr<StoredFile> WebHdfsStore::StatPath(const Asker& asker, const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const Struct answer, AskForObject(asker, path, "GET", "op=GETFILESTATUS"));
  StoredFile file = FileOf(JsonObject(answer, "FileStatus"));
  file.name.clear();
  return file;
}

absl::StatusOr<std::vector<StoredFile>> WebHdfsStore::List(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const Asker asker, Parse(uri));
  SAMOVAR_ASSIGN_OR_RETURN(const Struct answer, AskForObject(asker, asker.place.path, "GET", "op=LISTSTATUS"));
  std::vector<StoredFile> files;
  for (const Struct& status : JsonObjects(JsonObject(answer, "FileStatuses"), "FileStatus")) {
    files.push_back(FileOf(status));
    if (files.back().name.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(uri, " is a file, not a directory"));
    }
  }
  std::sort(files.begin(), files.end(), [](const StoredFile& a, const StoredFile& b) { return a.name < b.name; });
  return files;
}

absl::Status WebHdfsStore::Read(const std::string& uri, const StoredFile&, uint64_t offset, std::span<char> out) {
  SAMOVAR_ASSIGN_OR_RETURN(const Asker asker, Parse(uri));
  const std::string operation = absl::StrCat("op=OPEN&offset=", offset, "&length=", out.size());
  // Each attempt asks for a datanode anew: the one before may be gone.
  const auto attempt = [&](const RequestWatch& watch) -> absl::StatusOr<HttpResponse> {
    HttpRequest request = {.watch = watch, .negotiate = asker.negotiate};
    SAMOVAR_ASSIGN_OR_RETURN(request.url, AskForDataNode(asker, asker.place.path, "GET", operation, watch));
    ByteFiller filler(out);
    request.sink = [&](absl::string_view bytes) { return filler.Add(bytes); };
    SAMOVAR_ASSIGN_OR_RETURN(HttpResponse response, http_->Send(request));
    if (response.ok() && !filler.full()) {
      return absl::UnavailableError(absl::StrCat(uri, ": fewer bytes came than were asked for"));
    }
    return response;
  };
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, WithRetries(retries_, PlaceOf(asker.place), attempt));
  return response.ok() ? absl::OkStatus() : Failure(uri, response);
}

absl::Status WebHdfsStore::UploadPart(const Asker& asker, const std::string& path, int fd, uint64_t begin,
                                      uint64_t end) {
  bool is_first = true;
  const auto attempt = [&](const RequestWatch& watch) -> absl::StatusOr<HttpResponse> {
    uint64_t there = begin;
    // An attempt that was cut has appended some bytes, or all.
    if (begin > 0 && !std::exchange(is_first, false)) {
      SAMOVAR_ASSIGN_OR_RETURN(const StoredFile file, StatPath(asker, path));
      if (file.bytes == end) return HttpResponse{.status = 200};
      if (file.bytes < begin || file.bytes > end) {
        return absl::DataLossError(absl::StrCat(asker.uri, ": somebody else writes it, or it lost bytes"));
      }
      there = file.bytes;
    }
    HttpRequest request = {.method = begin == 0 ? "PUT" : "POST",
                           .headers = {"Content-Type: application/octet-stream"},
                           .watch = watch,
                           .negotiate = asker.negotiate};
    SAMOVAR_ASSIGN_OR_RETURN(request.url, AskForDataNode(asker, path, request.method,
                                                         begin == 0 ? "op=CREATE&overwrite=true" : "op=APPEND", watch));
    request.body = {.fd = fd, .offset = there, .file_bytes = end - there};
    SAMOVAR_ASSIGN_OR_RETURN(HttpResponse response, http_->Send(request));
    if (IsStillWritten(response)) return Failure(asker.uri, response);
    return response;
  };
  RetryPolicy retries = retries_;
  // The namenode takes a file from a writer that has gone after a minute.
  if (begin > 0) retries.patience *= 3;
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, WithRetries(retries, PlaceOf(asker.place), attempt));
  return response.ok() ? absl::OkStatus() : Failure(asker.uri, response);
}

absl::StatusOr<uint64_t> WebHdfsStore::Upload(const Asker& asker, const std::string& path, int fd, uint64_t bytes) {
  uint64_t begin = 0;
  do {
    const uint64_t end = begin + std::min(kPartBytes, bytes - begin);
    SAMOVAR_RETURN_IF_ERROR(UploadPart(asker, path, fd, begin, end));
    begin = end;
  } while (begin < bytes);
  SAMOVAR_ASSIGN_OR_RETURN(const Struct answer, AskForObject(asker, path, "GET", "op=GETFILESTATUS"));
  const Struct& status = JsonObject(answer, "FileStatus");
  const uint64_t there = JsonNumber(status, "length");
  if (there == bytes) return JsonNumber(status, "modificationTime");
  return absl::DataLossError(absl::StrCat(asker.uri, ": of ", bytes, " bytes that were sent ", there, " are there"));
}

void WebHdfsStore::RemoveLeft(const Asker& asker, uint64_t now_milliseconds) {
  const std::string prefix = WrittenPrefix(asker.place.path);
  const size_t slash = prefix.rfind('/');
  const std::string directory = prefix.substr(0, slash);
  const auto answer = AskForObject(asker, directory.empty() ? "/" : directory, "GET", "op=LISTSTATUS");
  if (!answer.ok()) return;
  for (const Struct& status : JsonObjects(JsonObject(*answer, "FileStatuses"), "FileStatus")) {
    const std::string name = JsonText(status, "pathSuffix");
    const bool is_written = absl::StartsWith(name, prefix.substr(slash + 1)) && absl::EndsWith(name, kWrittenSuffix) &&
                            name.size() == prefix.size() - slash - 1 + kWriterDigits + kWrittenSuffix.size();
    const uint64_t changed = JsonNumber(status, "modificationTime");
    if (!is_written || changed + static_cast<uint64_t>(absl::ToInt64Milliseconds(kLeftAfter)) > now_milliseconds)
      continue;
    AskOnce(asker, absl::StrCat(directory, "/", name), "DELETE", "op=DELETE&recursive=false").IgnoreError();
  }
}

absl::Status WebHdfsStore::Write(const std::string& uri, int fd, uint64_t bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const Asker asker, Parse(uri));
  const std::string& path = asker.place.path;
  if (path.back() == '/') return absl::InvalidArgumentError(absl::StrCat(uri, ": is a directory, not a file"));
  const std::string written =
      absl::StrFormat("%s%08x%s", WrittenPrefix(path), static_cast<uint32_t>(std::random_device()()), kWrittenSuffix);
  const absl::StatusOr<uint64_t> uploaded = Upload(asker, written, fd, bytes);
  absl::Status status = uploaded.status();
  if (status.ok()) {
    // Replaces a file in one step.
    const std::string rename = absl::StrCat("op=RENAME&renameoptions=OVERWRITE&destination=", EncodeUrlValue(path));
    status = AskForObject(asker, written, "PUT", rename).status();
    // A rename whose answer was lost is not there for the second attempt.
    if (absl::IsNotFound(status)) {
      const absl::StatusOr<StoredFile> there = Stat(uri);
      if (there.ok() && there->bytes == bytes) status = absl::OkStatus();
    }
  }
  if (status.ok()) {
    RemoveLeft(asker, *uploaded);
  } else {
    AskOnce(asker, written, "DELETE", "op=DELETE&recursive=false").IgnoreError();
  }
  return status;
}

absl::Status WebHdfsStore::Create(const std::string& uri, absl::string_view bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const Asker asker, Parse(uri));
  const std::string& path = asker.place.path;
  if (path.back() == '/') return absl::InvalidArgumentError(absl::StrCat(uri, ": is a directory, not a file"));
  const int fd = memfd_create("samovar", MFD_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "write", uri);
  const absl::Cleanup close_it = [fd] { close(fd); };
  SAMOVAR_RETURN_IF_ERROR(WriteAll(uri, bytes, fd));
  // HDFS makes a file that it opens for writing at once, and empty: another one would take that for the whole. A
  // renaming without options replaces nothing.
  const std::string written =
      absl::StrFormat("%s%08x%s", WrittenPrefix(path), static_cast<uint32_t>(std::random_device()()), kWrittenSuffix);
  absl::Cleanup remove = [&] { AskOnce(asker, written, "DELETE", "op=DELETE&recursive=false").IgnoreError(); };
  SAMOVAR_RETURN_IF_ERROR(Upload(asker, written, fd, bytes.size()).status());
  const absl::StatusOr<Struct> renamed =
      AskForObject(asker, written, "PUT", absl::StrCat("op=RENAME&destination=", EncodeUrlValue(path)));
  if (renamed.ok() && JsonBool(*renamed, "boolean")) {
    std::move(remove).Cancel();
    return absl::OkStatus();
  }
  if (Stat(uri).ok()) return absl::AlreadyExistsError(absl::StrCat(uri, ": is there already"));
  SAMOVAR_RETURN_IF_ERROR(renamed.status());
  return absl::InternalError(absl::StrCat(uri, ": HDFS did not rename what was written"));
}

absl::Status WebHdfsStore::MakeDirectory(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const Asker asker, Parse(uri));
  SAMOVAR_ASSIGN_OR_RETURN(const Struct answer, AskForObject(asker, asker.place.path, "PUT", "op=MKDIRS"));
  if (JsonBool(answer, "boolean")) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(uri, ": HDFS does not make this directory"));
}

absl::Status WebHdfsStore::CheckWritable(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const Asker asker, Parse(uri));
  std::string directory = asker.place.path;
  while (directory != "/") {
    const size_t slash = directory.rfind('/');
    directory = slash == 0 ? "/" : directory.substr(0, slash);
    const absl::StatusOr<StoredFile> there = StatPath(asker, directory);
    if (absl::IsNotFound(there.status())) continue;
    SAMOVAR_RETURN_IF_ERROR(there.status());
    if (!there->is_directory) return absl::FailedPreconditionError(absl::StrCat(directory, " is a file"));
    return AskForObject(asker, directory, "GET", "op=CHECKACCESS&fsaction=-wx").status();
  }
  return absl::OkStatus();
}

absl::Status WebHdfsStore::Remove(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const Asker asker, Parse(uri));
  SAMOVAR_ASSIGN_OR_RETURN(const Struct answer,
                           AskForObject(asker, asker.place.path, "DELETE", "op=DELETE&recursive=false"));
  if (JsonBool(answer, "boolean")) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(uri, ": there is nothing"));
}

}  // namespace samovar
