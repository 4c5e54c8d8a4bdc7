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

constexpr RetryPolicy kQuick = {
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
  REQUIRE(requests.size() == 4);
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

}  // namespace
}  // namespace samovar
