#include "common/remote/webhdfs_store.h"

#include <cstdlib>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

using Request = HttpServer::Request;
using Response = HttpServer::Response;

const RetryPolicy kQuick = {
    .patience = absl::Seconds(30), .first_wait = absl::Milliseconds(1), .longest_wait = absl::Milliseconds(2)};

Response Exception(int status, const std::string& name) {
  return {.status = status,
          .body = absl::StrCat(R"({"RemoteException":{"exception":")", name, R"(","message":"why\nat line"}})")};
}

std::string OperationOf(const Request& request) {
  const size_t begin = request.target.find("op=") + 3;
  return request.target.substr(begin, request.target.find('&', begin) - begin);
}

// Two namenodes, of which one stands by until the test says otherwise; the active one is its own datanode.
struct Fixture {
  Fixture() { setenv("HADOOP_USER_NAME", "it's me", 1); }
  ~Fixture() { unsetenv("HADOOP_USER_NAME"); }

  std::map<std::string, Response> answers;
  bool cut_once = false;
  HttpServer standby{[](const Request&) { return Exception(403, "StandbyException"); }};
  HttpServer active{[this](const Request& request) {
    if (absl::StartsWith(request.target, "/data")) {
      Response response = answers["DATA"];
      if (std::exchange(cut_once, false)) response.sent_bytes = 1;
      return response;
    }
    const std::string operation = OperationOf(request);
    if (absl::StrContains(request.target, "noredirect=true")) {
      return Response{.body = absl::StrCat(R"({"Location":")", active.url(), R"(/data?x=1"})")};
    }
    const auto found = answers.find(operation);
    return found == answers.end() ? Response{.body = R"({"boolean": true})"} : found->second;
  }};
  HadoopConfiguration configuration = [this] {
    HadoopConfiguration made;
    made.Set("dfs.ha.namenodes.main", "a,b");
    made.Set("dfs.namenode.http-address.main.a", standby.url().substr(7));
    made.Set("dfs.namenode.http-address.main.b", active.url().substr(7));
    return made;
  }();
  WebHdfsStore store{std::make_shared<HttpClient>(), std::make_shared<ClusterConfiguration>(configuration), kQuick};
};

constexpr char kStatus[] =
    R"({"FileStatus":{"pathSuffix":"","type":"FILE","length":10,"modificationTime":7,"fileId":16387}})";

TEST_CASE_METHOD(Fixture, "the namenode that is active is found, and asked first the next time") {
  answers["GETFILESTATUS"] = {.body = kStatus};
  const auto file = store.Stat("hdfs://main/a b/c");
  REQUIRE_OK(file);
  CHECK(file->bytes == 10);
  CHECK(file->version == "7-16387");
  CHECK_FALSE(file->is_directory);
  REQUIRE_OK(store.Stat("hdfs://main/a b/c"));
  CHECK(standby.requests().size() == 1);
  CHECK(active.requests().at(0).target == "/webhdfs/v1/a%20b/c?op=GETFILESTATUS&user.name=it%27s%20me");
}

TEST_CASE_METHOD(Fixture, "a range is read from a datanode, and asked for again after a cut") {
  answers["DATA"] = {.body = "3456"};
  cut_once = true;
  std::string out(4, '\0');
  REQUIRE_OK(store.Read("hdfs://main/f", {}, 3, out));
  CHECK(out == "3456");
  CHECK_THAT(active.requests().at(0).target, Catch::Contains("op=OPEN&offset=3&length=4&noredirect=true"));
}

TEST_CASE_METHOD(Fixture, "a file is written under another name, and renamed when its length is right") {
  FILE* file = tmpfile();
  REQUIRE(fputs("0123456789", file) >= 0);
  REQUIRE(fflush(file) == 0);
  answers["DATA"] = {.status = 201};
  answers["GETFILESTATUS"] = {.body = kStatus};
  REQUIRE_OK(store.Write("hdfs://main/d/f", fileno(file), 10));
  auto requests = active.requests();
  REQUIRE(requests.size() == 5);
  CHECK_THAT(requests[0].target, Catch::StartsWith("/webhdfs/v1/d/.f.") && Catch::Contains("op=CREATE"));
  CHECK(requests[1].body == "0123456789");
  CHECK_THAT(requests[3].target,
             Catch::Contains("op=RENAME") && Catch::Contains("OVERWRITE") && Catch::Contains("destination=%2Fd%2Ff&"));
  // A datanode that kept less.
  REQUIRE_STATUS(store.Write("hdfs://main/d/f", fileno(file), 9), absl::StatusCode::kDataLoss,
                 "of 9 bytes that were sent 10");
  CHECK(OperationOf(active.requests().back()) == "DELETE");
  fclose(file);
}

TEST_CASE_METHOD(Fixture, "a file is created whole by a renaming that replaces nothing, or is there already") {
  answers["DATA"] = {.status = 201};
  answers["GETFILESTATUS"] = {.body = kStatus};
  REQUIRE_OK(store.Create("hdfs://main/d/f", "0123456789"));
  const auto requests = active.requests();
  CHECK(requests[1].body == "0123456789");
  CHECK_THAT(requests[3].target, Catch::Contains("op=RENAME") && !Catch::Contains("renameoptions"));
  answers["RENAME"] = {.body = R"({"boolean": false})"};
  REQUIRE_STATUS(store.Create("hdfs://main/d/f", "0123456789"), absl::StatusCode::kAlreadyExists, "hdfs://main/d/f");
  // Its file of the other name is taken away.
  const auto later = active.requests();
  CHECK(
      std::any_of(later.begin(), later.end(), [](const Request& request) { return OperationOf(request) == "DELETE"; }));
  answers["GETFILESTATUS"] = Exception(404, "FileNotFoundException");
  CHECK_FALSE(store.Create("hdfs://main/d/f", "0123456789").ok());
}

// A datanode that keeps what is sent, as much of it as the test lets it before it cuts the connection.
struct UploadFixture {
  static std::string StatusOf(uint64_t bytes) {
    return absl::StrCat(R"({"FileStatus":{"pathSuffix":"","type":"FILE","length":)", bytes,
                        R"(,"modificationTime":200000000,"fileId":16387}})");
  }

  // So many bytes of each request are kept, and the answer is cut if there were more; the last holds on.
  std::vector<size_t> kept_of_requests = {std::string::npos};
  std::vector<Response> refusals;
  std::string kept;
  size_t requests = 0;
  std::string listed = R"({"FileStatuses":{"FileStatus":[]}})";
  HttpServer server{[this](const Request& request) {
    if (!absl::StartsWith(request.target, "/data")) {
      const std::string operation = OperationOf(request);
      if (absl::StrContains(request.target, "noredirect=true")) {
        return Response{.body = absl::StrCat(R"({"Location":")", server.url(), "/data?", operation, R"("})")};
      }
      if (operation == "GETFILESTATUS") return Response{.body = StatusOf(kept.size())};
      if (operation == "LISTSTATUS") return Response{.body = listed};
      return Response{.body = R"({"boolean": true})"};
    }
    if (absl::StrContains(request.target, "APPEND") && !refusals.empty()) {
      const Response refusal = refusals.back();
      refusals.pop_back();
      return refusal;
    }
    if (absl::StrContains(request.target, "CREATE")) kept.clear();
    const size_t most = kept_of_requests[std::min(requests++, kept_of_requests.size() - 1)];
    kept += request.body.substr(0, most);
    return Response{.status = 200, .body = "xx", .sent_bytes = request.body.size() > most ? 1 : std::string::npos};
  }};
  WebHdfsStore store{std::make_shared<HttpClient>(), std::make_shared<ClusterConfiguration>(HadoopConfiguration()),
                     kQuick};

  absl::Status Write(const std::string& text) {
    FILE* const file = tmpfile();
    REQUIRE(fwrite(text.data(), 1, text.size(), file) == text.size());
    REQUIRE(fflush(file) == 0);
    const absl::Status status =
        store.Write(absl::StrCat("webhdfs", server.url().substr(4), "/d/f"), fileno(file), text.size());
    fclose(file);
    return status;
  }
  // "PUT 67108864 POST 5 ": what datanodes were sent.
  std::string Sent() {
    std::string text;
    for (const Request& request : server.requests()) {
      if (absl::StartsWith(request.target, "/data"))
        absl::StrAppend(&text, request.method, " ", request.body.size(), " ");
    }
    return text;
  }
};

std::string Pattern(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 2654435761U >> 24);
  return text;
}

TEST_CASE_METHOD(UploadFixture, "a large file goes up in parts, and one that was cut goes on where it was cut") {
  constexpr size_t kPart = WebHdfsStore::kPartBytes;
  const std::string text = Pattern(2 * kPart + 1000);
  // The second part is cut twice, and the namenode first waits for the writer that has gone.
  kept_of_requests = {std::string::npos, 100, 50, std::string::npos};
  refusals = {Exception(403, "RecoveryInProgressException")};
  REQUIRE_OK(Write(text));
  CHECK(kept == text);
  CHECK(Sent() == absl::StrCat("PUT ", kPart, " POST ", kPart, " POST ", kPart, " POST ", kPart - 100, " POST ",
                               kPart - 150, " POST 1000 "));
}

TEST_CASE_METHOD(UploadFixture,
                 "what killed writers of a name have left is removed by the next one, once it is a day old") {
  const auto entry = [](const std::string& name, uint64_t changed) {
    return absl::StrCat(R"({"type":"FILE","length":1,"pathSuffix":")", name, R"(","modificationTime":)", changed, "}");
  };
  listed = absl::StrCat(R"({"FileStatuses":{"FileStatus":[)", entry(".f.00000001.tmp", 1), ",",
                        entry(".f.00000002.tmp", 150000000), ",", entry(".f.x.00000003.tmp", 1), ",",
                        entry(".g.00000004.tmp", 1), ",", entry("f", 1), "]}}");
  REQUIRE_OK(Write("text"));
  std::string removed;
  for (const Request& request : server.requests()) {
    if (request.method == "DELETE") removed += request.target.substr(0, request.target.find('?')) + " ";
  }
  CHECK(removed == "/webhdfs/v1/d/.f.00000001.tmp ");
}

TEST_CASE_METHOD(Fixture, "whether a file may be written is asked of the nearest directory that there is") {
  answers["GETFILESTATUS"] = {.body = R"({"FileStatus":{"type":"DIRECTORY"}})"};
  REQUIRE_OK(store.CheckWritable("hdfs://main/a/b/c"));
  CHECK_THAT(active.requests().back().target, Catch::Contains("/a/b?op=CHECKACCESS&fsaction=-wx"));
  answers["CHECKACCESS"] = Exception(403, "AccessControlException");
  REQUIRE_STATUS(store.CheckWritable("hdfs://main/a/b/c"), absl::StatusCode::kPermissionDenied, "AccessControl");
  answers["GETFILESTATUS"] = {.body = kStatus};
  REQUIRE_STATUS(store.CheckWritable("hdfs://main/a/b/c"), absl::StatusCode::kFailedPrecondition, "/a/b is a file");
  answers["GETFILESTATUS"] = Exception(404, "FileNotFoundException");
  REQUIRE_OK(store.CheckWritable("hdfs://main/a/b/c"));
  CHECK_THAT(active.requests().back().target, Catch::Contains("/webhdfs/v1/?op=GETFILESTATUS"));
}

TEST_CASE_METHOD(Fixture, "a directory's files are listed, and a file is no directory") {
  answers["LISTSTATUS"] = {.body = R"({"FileStatuses":{"FileStatus":[
      {"pathSuffix":"b","type":"FILE","length":5000000000,"modificationTime":1,"fileId":2},
      {"pathSuffix":"a","type":"DIRECTORY","length":0}]}})"};
  const auto files = store.List("hdfs://main/d");
  REQUIRE_OK(files);
  REQUIRE(files->size() == 2);
  CHECK(files->at(0).is_directory);
  CHECK(files->at(1).bytes == 5'000'000'000);
  answers["LISTSTATUS"] = {.body = R"({"FileStatuses":{"FileStatus":[{"pathSuffix":"","type":"FILE"}]}})"};
  REQUIRE_STATUS(store.List("hdfs://main/d").status(), absl::StatusCode::kFailedPrecondition, "is a file");
}

TEST_CASE_METHOD(Fixture, "exceptions are told in our words, with the message's first line") {
  const auto stat = [&](int status, const std::string& name) {
    answers["GETFILESTATUS"] = Exception(status, name);
    return store.Stat("hdfs://main/f").status();
  };
  REQUIRE_STATUS(stat(404, "FileNotFoundException"), absl::StatusCode::kNotFound, "hdfs://main/f: there is nothing");
  REQUIRE_STATUS(stat(403, "AccessControlException"), absl::StatusCode::kPermissionDenied,
                 "AccessControlException: why");
  CHECK_FALSE(absl::StrContains(store.Stat("hdfs://main/f").status().message(), "at line"));
  REQUIRE_STATUS(stat(403, "SecurityException"), absl::StatusCode::kUnauthenticated, "SecurityException");
  REQUIRE_STATUS(stat(400, "IllegalArgumentException"), absl::StatusCode::kInvalidArgument, "why");
  answers["GETFILESTATUS"] = {.status = 404, .body = "<html>"};
  REQUIRE_STATUS(store.Stat("hdfs://main/f").status(), absl::StatusCode::kNotFound, "WebHDFS");
  answers["GETFILESTATUS"] = {.body = "<html>"};
  REQUIRE_STATUS(store.Stat("hdfs://main/f").status(), absl::StatusCode::kInternal, "does not answer as WebHDFS does");
  answers["DELETE"] = {.body = R"({"boolean": false})"};
  REQUIRE_STATUS(store.Remove("hdfs://main/f"), absl::StatusCode::kNotFound, "there is nothing");
}

TEST_CASE_METHOD(Fixture, "namenodes that all stand by are waited for until the patience ends") {
  configuration.Set("dfs.ha.namenodes.main", "a");
  WebHdfsStore waiting(std::make_shared<HttpClient>(), std::make_shared<ClusterConfiguration>(configuration),
                       {.patience = absl::Milliseconds(20), .first_wait = absl::Milliseconds(1)});
  REQUIRE_STATUS(waiting.Stat("hdfs://main/f").status(), absl::StatusCode::kUnavailable, "StandbyException");
  CHECK(standby.requests().size() > 1);
}

TEST_CASE_METHOD(Fixture,
                 "a cluster that is waited for is told by its name, also where the URI has none, and left at once") {
  configuration.Set("dfs.ha.namenodes.main", "a");
  configuration.Set("fs.defaultFS", "hdfs://main");
  std::string told;
  const auto stopper = std::make_shared<Stopper>();
  const auto news = std::make_shared<WaitNews>([&](const std::string& text) {
    told = text;
    stopper->Stop();
  });
  WebHdfsStore waiting(std::make_shared<HttpClient>(), std::make_shared<ClusterConfiguration>(configuration),
                       {.patience = absl::Hours(2),
                        .first_wait = absl::Hours(1),
                        .longest_wait = absl::Hours(1),
                        .stopper = stopper,
                        .news = news});
  REQUIRE_STATUS(waiting.Stat("hdfs:///f").status(), absl::StatusCode::kCancelled, "hdfs://main: ");
  CHECK_THAT(told, Catch::StartsWith("waits for hdfs://main, which is busy or does not answer; tries until "));
  CHECK(standby.requests().size() == 1);
}

}  // namespace
}  // namespace samovar
