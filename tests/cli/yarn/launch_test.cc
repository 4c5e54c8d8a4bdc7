#include "cli/yarn/launch.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

void WriteFile(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// A storage of the scheme "test:", and a bundle of this machine.
struct Fixture {
  Fixture() {
    storage.Add("test", mounted);
    WriteFile(bundle, "the programs");
    plan.name = "lenet";
    plan.home = "test:/homes/lenet/";
    plan.bundle = bundle;
  }

  absl::StatusOr<ServicePlan> Complete(const std::string& hadoop_conf = "", bool dry = false) {
    return CompletePlan(plan, hadoop_conf, configuration, storage, dry);
  }
  size_t Puts() const {
    const std::vector<std::string> calls = mounted->calls();
    return static_cast<size_t>(std::count_if(calls.begin(), calls.end(),
                                             [](const std::string& call) { return absl::StartsWith(call, "put "); }));
  }

  TempDir place;
  TempDir here;
  const std::string bundle = here.File("samovar-1.tar.gz");
  std::shared_ptr<MountedStorage> mounted = std::make_shared<MountedStorage>(place.path());
  StorageTable storage;
  HadoopConfiguration configuration;
  ServicePlan plan;
};

TEST_CASE_METHOD(Fixture, "a bundle of this machine is put beside the home under its digest, once for each content") {
  const auto first = Complete();
  REQUIRE_OK(first);
  CHECK(first->home == "test:/homes/lenet");
  CHECK_THAT(first->bundle, Catch::StartsWith("test:/homes/bundles/") && Catch::EndsWith("/samovar-1.tar.gz"));
  CHECK(*ReadFile(place.path() + first->bundle.substr(5), 100) == "the programs");
  CHECK(Puts() == 1);
  CHECK(Complete()->bundle == first->bundle);
  CHECK(Puts() == 1);
  // A running service has the first, which must stay as it is.
  WriteFile(bundle, "other programs");
  const auto second = Complete();
  REQUIRE_OK(second);
  CHECK(second->bundle != first->bundle);
  CHECK(Puts() == 2);
  CHECK(*ReadFile(place.path() + first->bundle.substr(5), 100) == "the programs");
}

TEST_CASE_METHOD(Fixture, "a bundle that is in storage stays where it is") {
  plan.bundle = "test:/x/samovar-1.tar.gz";
  CHECK(Complete()->bundle == plan.bundle);
  CHECK(Puts() == 0);
}

TEST_CASE_METHOD(Fixture, "a specification that is only printed writes nothing, and names the same files") {
  const auto dry = Complete("", /*dry=*/true);
  REQUIRE_OK(dry);
  CHECK(mounted->calls().empty());
  CHECK(Complete()->bundle == dry->bundle);
}

TEST_CASE_METHOD(Fixture,
                 "containers get the configuration that they are given, and it is refused where there is none") {
  REQUIRE_STATUS(Complete(here.path()).status(), absl::StatusCode::kNotFound, "--hadoop-conf");
  WriteFile(here.File("core-site.xml"), "<configuration/>");
  const auto completed = Complete(here.path());
  REQUIRE_OK(completed);
  REQUIRE(completed->configuration.size() == 1);
  CHECK_THAT(completed->configuration[0],
             Catch::StartsWith("test:/homes/bundles/") && Catch::EndsWith("/core-site.xml"));
}

TEST_CASE_METHOD(Fixture, "wrong flags are told before anything is written") {
  plan.home = "/tmp/home";
  REQUIRE_STATUS(Complete().status(), absl::StatusCode::kInvalidArgument, "other nodes do not see");
  plan.home = "test:/a b";
  REQUIRE_STATUS(Complete().status(), absl::StatusCode::kInvalidArgument, "--home");
  plan.home = "test:/a";
  plan.principal = "me@REALM";
  REQUIRE_STATUS(Complete().status(), absl::StatusCode::kInvalidArgument, "--keytab");
  plan.principal.clear();
  plan.bundle = here.File("none");
  REQUIRE_STATUS(Complete().status(), absl::StatusCode::kNotFound, "none");
  CHECK(Puts() == 0);
}

TEST_CASE("a home is in the user's directory of the cluster's storage unless it is named") {
  setenv("HADOOP_USER_NAME", "me", 1);
  HadoopConfiguration configuration;
  configuration.Set("fs.defaultFS", "hdfs://nn:8020");
  CHECK(*UsualHome("lenet", configuration) == "hdfs:///user/me/samovar/lenet");
  configuration.Set("fs.defaultFS", "wasbs://data@account.blob.core.windows.net");
  CHECK(*UsualHome("lenet", configuration) == "wasbs:///user/me/samovar/lenet");
  configuration.Set("fs.defaultFS", "file:///");
  REQUIRE_STATUS(UsualHome("lenet", configuration).status(), absl::StatusCode::kInvalidArgument, "--home URI");
  unsetenv("HADOOP_USER_NAME");
}

TEST_CASE_METHOD(Fixture, "a name that is taken is told before the bundle is sent, and a free one is launched") {
  std::string description = R"({"name":"lenet"})";
  HttpServer yarn([&](const HttpServer::Request& request) {
    if (request.method == "POST") return HttpServer::Response{.status = 202};
    return description.empty() ? HttpServer::Response{.status = 404, .body = R"({"diagnostics":"not found"})"}
                               : HttpServer::Response{.body = description};
  });
  ResourceManager manager({.origins = {yarn.url()}, .user = "me", .negotiate = false, .retries = {}});
  REQUIRE_STATUS(LaunchService(plan, "", configuration, storage, &manager).status(), absl::StatusCode::kAlreadyExists,
                 "samovar yarn stop lenet");
  CHECK(Puts() == 0);
  description.clear();
  const auto launched = LaunchService(plan, "", configuration, storage, &manager);
  REQUIRE_OK(launched);
  CHECK(Puts() == 1);
  CHECK_THAT(yarn.requests().back().body, Catch::Contains(launched->bundle));
}

}  // namespace
}  // namespace samovar
