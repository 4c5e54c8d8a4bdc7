#include "common/remote/azure_uri.h"

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

TEST_CASE("all four schemes name a container, an account and a path, on the end point for blobs") {
  for (const char* uri :
       {"wasb://c@acct.blob.core.windows.net/a/b", "wasbs://c@acct.blob.core.windows.net/a/b/",
        "abfs://c@acct.dfs.core.windows.net/a/b", "abfss://c@ACCT.dfs.core.windows.net/a/b", "wasb://c@acct/a/b"}) {
    INFO(uri);
    const auto parsed = ParseAzureUri(uri, {});
    REQUIRE_OK(parsed);
    CHECK(parsed->account == "acct");
    CHECK(parsed->container == "c");
    CHECK(parsed->suffix == "blob.core.windows.net");
    CHECK(parsed->path == "a/b");
  }
  CHECK(ParseAzureUri("wasb://c@acct//a//b", {})->path == "/a//b");
  CHECK(ParseAzureUri("abfs://c@a.dfs.core.chinacloudapi.cn/x", {})->suffix == "blob.core.chinacloudapi.cn");
}

TEST_CASE("a URI without a host is of the container that fs.defaultFS names") {
  HadoopConfiguration configuration;
  REQUIRE_STATUS(ParseAzureUri("wasb:///x", configuration).status(), absl::StatusCode::kInvalidArgument,
                 "fs.defaultFS");
  configuration.Set("fs.defaultFS", "hdfs://main");
  REQUIRE_STATUS(ParseAzureUri("wasb:///x", configuration).status(), absl::StatusCode::kInvalidArgument,
                 "fs.defaultFS");
  configuration.Set("fs.defaultFS", "wasbs://c@acct.blob.core.windows.net/home");
  for (const char* uri : {"wasb:///x/y", "wasbs:///x/y", "wasb:/x/y"}) {
    INFO(uri);
    const auto parsed = ParseAzureUri(uri, configuration);
    REQUIRE_OK(parsed);
    CHECK(parsed->container == "c");
    CHECK(parsed->account == "acct");
    CHECK(parsed->path == "x/y");
  }
}

TEST_CASE("a URI that lacks a part, or names another place, says how one looks") {
  for (const char* uri : {"wasb://acct.blob.core.windows.net/x", "wasb://@acct.blob.core.windows.net/x", "wasb://c@/x",
                          "wasb://c@acct.example.com/x", "wasb://c?d@acct.blob.core.windows.net/x",
                          "wasb://c@a/b@evil.com", "wasb://c@a%2eb.blob.core.windows.net/x"}) {
    const auto parsed = ParseAzureUri(uri, {});
    INFO(uri);
    if (std::string(uri) == "wasb://c@a/b@evil.com") {
      CHECK(parsed->account == "a");
    } else {
      REQUIRE_STATUS(parsed.status(), absl::StatusCode::kInvalidArgument, "wasbs://CONTAINER@ACCOUNT");
    }
  }
}

}  // namespace
}  // namespace samovar
