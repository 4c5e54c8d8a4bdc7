#include "cli/yarn/resource_manager.h"

#include <cstdlib>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/yarn/service_table.h"
#include "common/remote/json.h"
#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

using google::protobuf::Struct;
using Request = HttpServer::Request;
using Response = HttpServer::Response;

const RetryPolicy kQuick = {
    .patience = absl::Seconds(30), .first_wait = absl::Milliseconds(1), .longest_wait = absl::Milliseconds(2)};
constexpr char kService[] = R"({"name":"lenet","id":"application_1_0001","state":"STABLE","components":[
  {"name":"worker","number_of_containers":3,"state":"FLEXING","resource":{"cpus":2,"memory":"512"},"containers":[
    {"id":"container_2","state":"READY","bare_host":"wn1","component_instance_name":"worker-1"},
    {"id":"container_1","state":"RUNNING_BUT_UNREADY","bare_host":"wn0","component_instance_name":"worker-0"}]}]})";

// Answers by "METHOD /path"; a 404 as YARN's for what is not in it.
struct Fixture {
  std::map<std::string, Response> answers;
  HttpServer standby{[](const Request&) {
    return Response{.status = 307, .body = "This is standby RM. The redirect url is: http://other/"};
  }};
  HttpServer active{[this](const Request& request) {
    const std::string path = request.target.substr(0, request.target.find('?'));
    const auto found = answers.find(absl::StrCat(request.method, " ", path));
    return found != answers.end() ? found->second
                                  : Response{.status = 404, .body = R"({"diagnostics":"not found","code":404004})"};
  }};
  ResourceManager manager{
      {.origins = {standby.url(), active.url()}, .user = "it's me", .negotiate = false, .retries = kQuick}};
};

HadoopConfiguration Configuration(const std::map<std::string, std::string>& properties) {
  HadoopConfiguration configuration;
  for (const auto& [name, value] : properties) configuration.Set(name, value);
  return configuration;
}

std::vector<std::string> Found(const std::string& addresses, const std::map<std::string, std::string>& properties) {
  const auto access = FindResourceManager(addresses, Configuration(properties));
  REQUIRE_OK(access);
  return access->origins;
}

using Origins = std::vector<std::string>;

TEST_CASE("the resource manager is where yarn-site.xml says, or the flag") {
  CHECK(Found("", {{"yarn.resourcemanager.hostname", "hn0"}}) == Origins{"http://hn0:8088"});
  CHECK(Found("", {{"yarn.resourcemanager.hostname", "hn0"}, {"yarn.resourcemanager.webapp.address", "0.0.0.0:80"}}) ==
        Origins{"http://hn0:80"});
  CHECK(Found("", {{"yarn.resourcemanager.webapp.address", "hn1:81"}}) == Origins{"http://hn1:81"});
  CHECK(Found("", {{"yarn.resourcemanager.ha.rm-ids", "rm1, rm2"},
                   {"yarn.resourcemanager.hostname.rm1", "hn0"},
                   {"yarn.resourcemanager.webapp.address.rm2", "hn1:81"}}) ==
        Origins{"http://hn0:8088", "http://hn1:81"});
  CHECK(Found("", {{"yarn.http.policy", "HTTPS_ONLY"}, {"yarn.resourcemanager.hostname", "hn0"}}) ==
        Origins{"https://hn0:8090"});
  CHECK(Found("a:1, https://b:2/", {{"yarn.resourcemanager.hostname", "hn0"}}) == Origins{"http://a:1", "https://b:2"});
  REQUIRE_STATUS(FindResourceManager("", HadoopConfiguration()).status(), absl::StatusCode::kInvalidArgument,
                 "--resource-manager");
}

TEST_CASE("the user is named, or known by a Kerberos ticket where the cluster has Kerberos") {
  setenv("HADOOP_USER_NAME", "me", 1);
  CHECK(FindResourceManager("a:1", HadoopConfiguration())->user == "me");
  const auto access = FindResourceManager("a:1", Configuration({{"hadoop.security.authentication", "kerberos"}}));
  unsetenv("HADOOP_USER_NAME");
  CHECK(access->negotiate);
  CHECK(access->user.empty());
}

TEST_CASE_METHOD(Fixture, "the active resource manager of several is asked, as the user") {
  answers["GET /app/v1/services/lenet"] = {.body = kService};
  const auto text = manager.Describe("lenet");
  REQUIRE_OK(text);
  CHECK(*text == kService);
  CHECK(active.requests().at(0).target == "/app/v1/services/lenet?user.name=it%27s%20me");
}

TEST_CASE_METHOD(Fixture, "where no resource manager is active the last one is named") {
  ResourceManager alone(
      {.origins = {standby.url()}, .user = "me", .negotiate = false, .retries = {.patience = absl::ZeroDuration()}});
  REQUIRE_STATUS(alone.Describe("lenet").status(), absl::StatusCode::kUnavailable, standby.url());
}

TEST_CASE_METHOD(Fixture, "a launch is asked for once, and a name that is taken is told with what to do") {
  answers["POST /app/v1/services"] = {.status = 503};
  CHECK_FALSE(manager.Launch("lenet", R"({"name":"lenet"})").ok());
  REQUIRE(active.requests().size() == 1);
  CHECK(active.requests()[0].body == R"({"name":"lenet"})");
  CHECK(active.requests()[0].headers.at("content-type") == "application/json");
  answers["POST /app/v1/services"] = {.status = 500,
                                      .body = R"({"diagnostics":"Service name lenet is already taken."})"};
  REQUIRE_STATUS(manager.Launch("lenet", "{}"), absl::StatusCode::kAlreadyExists, "samovar yarn stop lenet");
  answers["POST /app/v1/services"] = {.status = 400, .body = R"({"diagnostics":"Invalid format"})"};
  REQUIRE_STATUS(manager.Launch("lenet", "{}"), absl::StatusCode::kInvalidArgument, "Invalid format");
  answers["POST /app/v1/services"] = {.status = 202};
  REQUIRE_OK(manager.Launch("lenet", "{}"));
}

TEST_CASE_METHOD(Fixture, "a service whose master has been lost is told from one that is refused") {
  answers["GET /app/v1/services/lenet"] = {
      .status = 500,
      .body = R"({"diagnostics":"Call From a/1 to b:2 failed on connection exception: java.net.ConnectException"})"};
  REQUIRE_STATUS(manager.Describe("lenet").status(), absl::StatusCode::kUnavailable, "YARN starts another one");
}

TEST_CASE_METHOD(Fixture, "a refusal is final, though YARN answers it as a fault") {
  answers["PUT /app/v1/services/lenet/components/nix"] = {.status = 500,
                                                          .body = R"({"diagnostics":"Components [nix] do not exist"})"};
  REQUIRE_STATUS(manager.SetCount("lenet", "nix", 3), absl::StatusCode::kInternal, "[nix] do not exist");
  REQUIRE(active.requests().size() == 1);
  CHECK(active.requests()[0].body == R"({"name":"nix","number_of_containers":3})");
}

TEST_CASE_METHOD(Fixture, "a service that there is not, and a resource manager without services, are told apart") {
  REQUIRE_STATUS(manager.Describe("none").status(), absl::StatusCode::kNotFound, "no service none of the user it's me");
  answers["DELETE /app/v1/services/none"] = {.status = 400, .body = R"({"diagnostics":"Service none doesn't exist"})"};
  REQUIRE_STATUS(manager.Destroy("none"), absl::StatusCode::kNotFound, "no service none");
  answers["GET /app/v1/services/lenet"] = {.status = 404, .body = "<html>"};
  REQUIRE_STATUS(manager.Describe("lenet").status(), absl::StatusCode::kFailedPrecondition,
                 "yarn.webapp.api-service.enable");
}

TEST_CASE_METHOD(Fixture, "an answer that is no service, and one that does not say that it has ended, are errors") {
  for (const char* body : {"{}", "[]", "", "hello", R"({"name":"other","state":"STABLE"})"}) {
    INFO(body);
    answers["GET /app/v1/services/lenet"] = {.body = body};
    REQUIRE_STATUS(manager.Describe("lenet").status(), absl::StatusCode::kInternal, "without a service of this name");
    REQUIRE_STATUS(manager.DescribeParsed("lenet").status(), absl::StatusCode::kInternal, "--resource-manager");
    answers["DELETE /app/v1/services/lenet"] = {.body = body};
    REQUIRE_STATUS(manager.Destroy("lenet"), absl::StatusCode::kInternal, "without a word that the service has ended");
  }
  answers["DELETE /app/v1/services/lenet"] = {.body = R"({"diagnostics":"Successfully destroyed service lenet"})"};
  REQUIRE_OK(manager.Destroy("lenet"));
}

TEST_CASE_METHOD(Fixture, "containers are listed by instance, with their nodes, whose logs are read from the end") {
  answers["GET /ws/v1/cluster/apps/application_1_0001/appattempts"] = {
      .body = R"({"appAttempts":{"appAttempt":[{"appAttemptId":"attempt_1"}]}})"};
  answers["GET /ws/v1/cluster/apps/application_1_0001/appattempts/attempt_1/containers"] = {
      .body =
          absl::StrCat(R"({"container":[{"containerId":"container_1","nodeHttpAddress":")", active.url(), R"("}]})")};
  const auto description = ParseJson(kService);
  REQUIRE_OK(description);
  const auto containers = manager.Containers(*description);
  REQUIRE_OK(containers);
  REQUIRE(containers->size() == 2);
  CHECK(containers->at(0).instance == "worker-0");
  CHECK(containers->at(0).node_url == active.url());
  answers["GET /ws/v1/node/containers/container_1/logs/stderr.txt"] = {
      .body = "Container: container_1 on wn0:1\nLogLength:7\nLogContents:\nthe end\nEnd of LogType:stderr.txt.\n***\n"};
  const auto text = manager.Log(containers->at(0), "stderr.txt", 7);
  REQUIRE_OK(text);
  CHECK(*text == "the end");
  answers["GET /ws/v1/node/containers/container_1/logs/stderr.txt"] = {
      .body = "LogLength:0\nLogContents:\nEnd of LogType:stderr.txt.\n"};
  CHECK(manager.Log(containers->at(0), "stderr.txt", 7)->empty());
  CHECK_THAT(active.requests().back().target, Catch::Contains("size=-7"));
  REQUIRE_STATUS(manager.Log(containers->at(1), "stderr.txt", 7).status(), absl::StatusCode::kNotFound,
                 "its node is not known");
}

TEST_CASE("a service's table shows how many containers of each component are ready") {
  const auto description = ParseJson(kService);
  REQUIRE_OK(description);
  const std::string table = ServiceTable(*description, {{"container_1", "worker-0", "RUNNING_BUT_UNREADY", "wn0", ""},
                                                        {"container_2", "worker-1", "READY", "wn1", ""}});
  CHECK_THAT(table, Catch::StartsWith("service lenet (application_1_0001): STABLE\n"));
  CHECK_THAT(table, Catch::Contains("worker              1      3      2      512  FLEXING\n"));
  CHECK_THAT(table, Catch::Contains("worker-1       READY                wn1"));
  CHECK(WantedContainers(*description, "worker") == 3);
  CHECK(WantedContainers(*description, "server") == -1);
}

TEST_CASE("an instance belongs to its component alone") {
  CHECK(IsInstanceOf("worker-12", "worker"));
  CHECK(IsInstanceOf("worker-1", "worker-1"));
  CHECK(IsInstanceOf("worker-1", ""));
  CHECK_FALSE(IsInstanceOf("worker-12", "worker-1"));
  CHECK_FALSE(IsInstanceOf("worker-x-1", "worker"));
}

}  // namespace
}  // namespace samovar
