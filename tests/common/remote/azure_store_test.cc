#include "common/remote/azure_store.h"

#include <cstdlib>
#include <deque>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/remote/md5.h"
#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

using Request = HttpServer::Request;
using Response = HttpServer::Response;

const RetryPolicy kQuick = {
    .patience = absl::Seconds(30), .first_wait = absl::Milliseconds(1), .longest_wait = absl::Milliseconds(2)};
constexpr char kUri[] = "wasbs://c@acct.blob.core.windows.net/d/f";

// A service that answers in turn what the test has put into `answers`.
struct Fixture {
  std::deque<Response> answers;
  HttpServer server{[this](const Request&) {
    if (answers.empty()) return Response{.status = 500};
    const Response next = answers.front();
    answers.pop_front();
    return next;
  }};
  AzureStore store{std::make_shared<HttpClient>(), std::make_shared<ClusterConfiguration>(HadoopConfiguration()),
                   kQuick};

  Fixture() {
    setenv("AZURE_STORAGE_CONNECTION_STRING",
           absl::StrCat("AccountName=acct;AccountKey=c2VjcmV0;BlobEndpoint=", server.url(), "/acct").c_str(), 1);
  }
  ~Fixture() { unsetenv("AZURE_STORAGE_CONNECTION_STRING"); }

  absl::StatusOr<std::string> Read(const StoredFile& file, uint64_t offset, size_t bytes) {
    std::string out(bytes, '\0');
    SAMOVAR_RETURN_IF_ERROR(store.Read(kUri, file, offset, out));
    return out;
  }
};

std::string Md5Of(absl::string_view text) {
  Md5 sum;
  sum.Add(text);
  return absl::StrCat("Content-MD5: ", sum.Base64());
}

TEST_CASE_METHOD(Fixture, "a range is of the version that was looked at, and each piece is compared with its sum") {
  answers = {Response{.headers = {"Content-Length: 10", "ETag: \"v1\""}},
             // Cut, wrong, right.
             Response{.status = 206, .headers = {Md5Of("3456")}, .body = "3456", .sent_bytes = 2},
             Response{.status = 206, .headers = {Md5Of("3456")}, .body = "3x56"},
             Response{.status = 206, .headers = {Md5Of("3456")}, .body = "3456"}, Response{.status = 412}};
  const auto file = store.Stat(kUri);
  REQUIRE_OK(file);
  CHECK(file->bytes == 10);
  CHECK(file->version == "v1");
  CHECK(Read(*file, 3, 4).value() == "3456");
  const auto requests = server.requests();
  REQUIRE(requests.size() == 4);
  CHECK(requests[3].target == "/acct/c/d/f");
  CHECK(requests[3].headers.at("x-ms-range") == "bytes=3-6");
  CHECK(requests[3].headers.at("if-match") == "\"v1\"");
  CHECK(absl::StartsWith(requests[3].headers.at("authorization"), "SharedKey acct:"));
  REQUIRE_STATUS(Read(*file, 3, 4).status(), absl::StatusCode::kAborted, "was changed while it was read");
}

TEST_CASE_METHOD(Fixture, "a listing of several pages is one, without the blobs that stand for directories") {
  const std::string page =
      "<EnumerationResults><Blobs>"
      "<Blob><Name>d/f/b</Name><Properties><Content-Length>7</Content-Length><Etag>0x1</Etag></Properties></Blob>"
      "<Blob><Name>d/f/dir</Name><Properties><Content-Length>0</Content-Length></Properties>"
      "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata></Blob>"
      "<BlobPrefix><Name>d/f/dir/</Name></BlobPrefix></Blobs><NextMarker>m 2</NextMarker></EnumerationResults>";
  const std::string last =
      "<EnumerationResults><Blobs><Blob><Name>d/f/a &amp; c</Name><Properties><Content-Length>1</Content-Length>"
      "</Properties></Blob></Blobs><NextMarker/></EnumerationResults>";
  answers = {Response{.body = page}, Response{.status = 503}, Response{.body = last}};
  const auto files = store.List(kUri);
  REQUIRE_OK(files);
  REQUIRE(files->size() == 3);
  CHECK(files->at(0).name == "a & c");
  CHECK(files->at(1).name == "b");
  CHECK(files->at(1).bytes == 7);
  CHECK(files->at(2).name == "dir");
  CHECK(files->at(2).is_directory);
  CHECK_THAT(server.requests().back().target, Catch::Contains("marker=m%202") && Catch::Contains("prefix=d%2Ff%2F"));
}

TEST_CASE_METHOD(Fixture, "a credential that is refused is found anew once, and then told without itself") {
  answers = {Response{.status = 403, .headers = {"x-ms-error-code: AuthenticationFailed"}},
             Response{.headers = {"Content-Length: 1"}}};
  REQUIRE_OK(store.Stat(kUri));
  answers = {Response{.status = 403, .headers = {"x-ms-error-code: AuthenticationFailed"}},
             Response{.status = 403, .headers = {"x-ms-error-code: AuthenticationFailed"}}};
  const absl::Status refused = store.Stat(kUri).status();
  REQUIRE_STATUS(refused, absl::StatusCode::kPermissionDenied, "AuthenticationFailed");
  CHECK_FALSE(absl::StrContains(refused.message(), "c2VjcmV0"));
}

TEST_CASE_METHOD(Fixture, "a large file is sent in blocks with their sums, and is there with the list of them") {
  FILE* file = tmpfile();
  const std::string text(kRemotePieceBytes * 2 + 1, 'x');
  REQUIRE(fwrite(text.data(), 1, text.size(), file) == text.size());
  REQUIRE(fflush(file) == 0);
  // A block that fails once.
  answers = {Response{.status = 500}, Response{.status = 201}, Response{.status = 201}, Response{.status = 201},
             Response{.status = 201}};
  REQUIRE_OK(store.Write(kUri, fileno(file), text.size()));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 5);
  size_t sent = 0;
  for (size_t i = 0; i < 4; ++i) {
    CHECK_THAT(requests[i].target, Catch::Contains("comp=block&blockid="));
    CHECK(requests[i].headers.at("content-md5") == Md5Of(requests[i].body).substr(13));
    sent += requests[i].body.size();
  }
  CHECK(sent > text.size());
  CHECK_THAT(requests[4].target, Catch::Contains("comp=blocklist"));
  CHECK(requests[4].headers.at("x-ms-blob-content-md5") == Md5Of(text).substr(13));
  answers = {Response{.status = 201}, Response{.status = 201}, Response{.status = 201},
             Response{.status = 400, .headers = {"x-ms-error-code: InvalidBlockList"}}};
  REQUIRE_STATUS(store.Write(kUri, fileno(file), text.size()), absl::StatusCode::kAborted, "somebody else wrote it");
  fclose(file);
}

TEST_CASE_METHOD(Fixture, "a blob is created if there is none of its name") {
  answers = {Response{.status = 201}, Response{.status = 409, .headers = {"x-ms-error-code: BlobAlreadyExists"}},
             Response{.status = 412, .headers = {"x-ms-error-code: ConditionNotMet"}}};
  REQUIRE_OK(store.Create(kUri, "claimed"));
  CHECK(server.requests().back().headers.at("if-none-match") == "*");
  CHECK(server.requests().back().body == "claimed");
  for (int i = 0; i < 2; ++i)
    REQUIRE_STATUS(store.Create(kUri, "claimed"), absl::StatusCode::kAlreadyExists, "is there already");
}

TEST_CASE_METHOD(Fixture, "names with two slashes, and with a space at their end, are listed as they are") {
  const auto blobs = [](const std::string& names) {
    std::string text = "<EnumerationResults><Blobs>";
    for (absl::string_view name : absl::StrSplit(names, '|')) {
      absl::StrAppend(&text, absl::EndsWith(name, "/")
                                 ? absl::StrCat("<BlobPrefix><Name>", name, "</Name></BlobPrefix>")
                                 : absl::StrCat("<Blob><Name>", name, "</Name><Properties><Content-Length>1",
                                                "</Content-Length></Properties></Blob>"));
    }
    return Response{.body = text + "</Blobs><NextMarker/></EnumerationResults>"};
  };
  answers = {blobs("d/f//|d/f/a |d/f/b/"), blobs("d/f//c|d/f///"), blobs("d/f///e/")};
  const auto files = store.List(kUri);
  REQUIRE_OK(files);
  std::string names;
  for (const StoredFile& file : *files) absl::StrAppend(&names, file.name, file.is_directory ? "/|" : "|");
  CHECK(names == "//e/|/c|a |b/|");
  CHECK_THAT(server.requests().back().target, Catch::Contains("prefix=d%2Ff%2F%2F%2F"));
}

TEST_CASE_METHOD(Fixture, "blobs that stand for a directory are removed when nothing else is in it") {
  const auto marker = [](const std::string& name) {
    return Response{.body = absl::StrCat("<EnumerationResults><Blobs>", name, "</Blobs></EnumerationResults>")};
  };
  const std::string own = "<Blob><Name>d/f/</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>";
  const Response folder = {.headers = {"x-ms-meta-hdi_isfolder: true", "Content-Length: 0"}};
  answers = {Response{.status = 404}, marker(own)};
  CHECK(store.Stat(kUri)->is_directory);
  answers = {folder, marker(own), Response{.status = 202}, Response{.status = 202}};
  REQUIRE_OK(store.Remove(kUri));
  auto requests = server.requests();
  CHECK(requests.at(requests.size() - 2).target == "/acct/c/d/f/");
  CHECK(requests.back().target == "/acct/c/d/f");
  CHECK(requests.back().method == "DELETE");
  // Something is in it.
  answers = {folder, marker(own + "<BlobPrefix><Name>d/f/x/</Name></BlobPrefix>")};
  REQUIRE_STATUS(store.Remove(kUri), absl::StatusCode::kFailedPrecondition, "not empty");
  CHECK(server.requests().back().method == "GET");
  // A file of that name does not mind what stands behind a slash.
  answers = {Response{.headers = {"Content-Length: 1"}}, Response{.status = 202}};
  REQUIRE_OK(store.Remove(kUri));
}

TEST_CASE_METHOD(Fixture, "whether a blob may be written is told by the container and the credential") {
  answers = {Response{.status = 404, .headers = {"x-ms-error-code: BlobNotFound"}}};
  REQUIRE_OK(store.CheckWritable(kUri));
  answers = {Response{.status = 404, .headers = {"x-ms-error-code: ContainerNotFound"}}};
  REQUIRE_STATUS(store.CheckWritable(kUri), absl::StatusCode::kNotFound, "there is no container");
  answers = {Response{.status = 403, .headers = {"x-ms-error-code: AuthorizationPermissionMismatch"}},
             Response{.status = 403, .headers = {"x-ms-error-code: AuthorizationPermissionMismatch"}}};
  REQUIRE_OK(store.CheckWritable(kUri));
  answers = {Response{.status = 403}, Response{.status = 403}};
  REQUIRE_STATUS(store.CheckWritable(kUri), absl::StatusCode::kPermissionDenied, "403");
}

TEST_CASE_METHOD(Fixture, "what is not there, is no file or cannot be removed is told apart") {
  const std::string none = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";
  const std::string one =
      "<EnumerationResults><Blobs><Blob><Name>d/f/b</Name><Properties><Content-Length>1"
      "</Content-Length></Properties></Blob></Blobs></EnumerationResults>";
  answers = {Response{.status = 404}, Response{.body = none}};
  REQUIRE_STATUS(store.Stat(kUri).status(), absl::StatusCode::kNotFound, "there is nothing");
  answers = {Response{.status = 404}, Response{.body = one}};
  CHECK(store.Stat(kUri)->is_directory);
  answers = {Response{.status = 404}, Response{.body = one}};
  REQUIRE_STATUS(store.Remove(kUri), absl::StatusCode::kFailedPrecondition, "not empty");
  answers = {Response{.body = none}, Response{.headers = {"Content-Length: 1"}}};
  REQUIRE_STATUS(store.List(kUri).status(), absl::StatusCode::kFailedPrecondition, "is a file");
  answers = {Response{.status = 404, .headers = {"x-ms-error-code: ContainerNotFound"}}};
  REQUIRE_STATUS(store.List(kUri).status(), absl::StatusCode::kNotFound, "there is no container \"c\"");
  answers = {Response{.body = "no list"}};
  REQUIRE_STATUS(store.List(kUri).status(), absl::StatusCode::kInternal, "no XML");
  REQUIRE_STATUS(store.Write("wasbs://c@acct.blob.core.windows.net/", 0, 0), absl::StatusCode::kInvalidArgument,
                 "is a container");
}

}  // namespace
}  // namespace samovar
