#include "common/remote/azure_access.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "absl/strings/match.h"
#include "common/base/clock.h"
#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr char kKey[] = "c2VjcmV0IGtleQ==";  // "secret key"

// Variables of the environment, for the time of a test.
class Environment {
 public:
  using Variables = std::vector<std::pair<std::string, std::string>>;
  explicit Environment(Variables variables) : variables_(std::move(variables)) {
    for (const auto& [name, value] : variables_) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : variables_) unsetenv(name.c_str());
  }

 private:
  Variables variables_;
};

const AzureUri kUri = {.account = "acct", .container = "c", .suffix = "blob.core.windows.net", .path = "a b"};

AzureAccess Find(const HadoopConfiguration& configuration) {
  HttpClient http;
  const auto access = FindAzureAccess(kUri, configuration, &http);
  REQUIRE_OK(access);
  return *access;
}

TEST_CASE("a connection string is taken for its own account, with its end point") {
  HadoopConfiguration configuration;
  configuration.Set("fs.azure.account.key.acct.blob.core.windows.net", kKey);
  {
    const Environment environment(
        Environment::Variables{{"AZURE_STORAGE_CONNECTION_STRING",
                                "DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=b3RoZXI=;"
                                "BlobEndpoint=http://127.0.0.1:10000/acct/;"}});
    CHECK(Find(configuration).endpoint == "http://127.0.0.1:10000/acct");
    CHECK(Find(configuration).secret == "other");
  }
  {
    const Environment environment(Environment::Variables{
        {"AZURE_STORAGE_CONNECTION_STRING", "AccountName=acct;AccountKey=b3RoZXI=;EndpointSuffix=core.windows.net"}});
    CHECK(Find(configuration).endpoint == "https://acct.blob.core.windows.net");
  }
  const Environment environment(
      Environment::Variables{{"AZURE_STORAGE_CONNECTION_STRING", "AccountName=another;AccountKey=b3RoZXI="}});
  CHECK(Find(configuration).secret == "secret key");
}

TEST_CASE("the environment's account is taken with its signature or its key") {
  const Environment account(Environment::Variables{{"AZURE_STORAGE_ACCOUNT", "acct"}, {"AZURE_STORAGE_KEY", kKey}});
  CHECK(Find({}).secret == "secret key");
  const Environment sas(Environment::Variables{{"AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=x"}});
  CHECK(Find({}).kind == AzureAccess::Kind::kSas);
  CHECK(Find({}).secret == "sv=1&sig=x");
}

TEST_CASE("core-site.xml has keys, also of the other end point, signatures of containers, and an emulator's name") {
  HadoopConfiguration configuration;
  configuration.Set("fs.azure.account.key.acct.dfs.core.windows.net", kKey);
  CHECK(Find(configuration).secret == "secret key");
  configuration.Set("fs.azure.sas.c.acct.blob.core.windows.net", "sv=1&sig=x");
  CHECK(Find(configuration).kind == AzureAccess::Kind::kSas);
  configuration.Set("fs.azure.storage.emulator.account.name", "acct.blob.core.windows.net");
  CHECK(Find(configuration).endpoint == "http://127.0.0.1:10000/acct");
}

TEST_CASE("an encrypted key is decrypted by the program that the configuration names") {
  const TempDir directory;
  const std::string script = directory.File("decrypt.sh");
  std::ofstream(script) << "#!/bin/sh\n[ \"$1\" = ENCRYPTED ] && echo " << kKey << "\n";
  REQUIRE(chmod(script.c_str(), 0700) == 0);
  HadoopConfiguration configuration;
  configuration.Set("fs.azure.account.key.acct.blob.core.windows.net", "ENCRYPTED");
  configuration.Set("fs.azure.account.keyprovider.acct.blob.core.windows.net",
                    "org.apache.hadoop.fs.azure.ShellDecryptionKeyProvider");
  HttpClient http;
  REQUIRE_STATUS(FindAzureAccess(kUri, configuration, &http).status(), absl::StatusCode::kFailedPrecondition,
                 "fs.azure.shellkeyprovider.script");
  configuration.Set("fs.azure.shellkeyprovider.script", script);
  CHECK(Find(configuration).secret == "secret key");
  configuration.Set("fs.azure.account.key.acct.blob.core.windows.net", "OTHER");
  const absl::Status failed = FindAzureAccess(kUri, configuration, &http).status();
  REQUIRE_STATUS(failed, absl::StatusCode::kFailedPrecondition, "ended with code 1");
  CHECK_FALSE(absl::StrContains(failed.message(), "OTHER"));
}

TEST_CASE("a key that is no base64 is refused, and not shown") {
  HadoopConfiguration configuration;
  configuration.Set("fs.azure.account.key.acct.blob.core.windows.net", "!SECRET!");
  HttpClient http;
  const absl::Status refused = FindAzureAccess(kUri, configuration, &http).status();
  REQUIRE_STATUS(refused, absl::StatusCode::kFailedPrecondition, "is not in base64");
  CHECK_FALSE(absl::StrContains(refused.message(), "SECRET"));
}

// The signature was computed by hand, with another library's HMAC, over the text that Azure's reference gives for this
// request.
TEST_CASE("a machine without keys asks for a token of its identity, for the time that it holds") {
  HttpServer::Response answer = {.body = R"({"access_token":"the token","expires_in":"3600"})"};
  const HttpServer server([&](const HttpServer::Request&) { return answer; });
  HttpClient http;
  const auto find = [&] { return FindAzureAccess(kUri, {}, &http, server.url() + "/token?resource=x"); };
  const absl::Time before = SteadyNow();
  const auto access = find();
  REQUIRE_OK(access);
  CHECK(access->kind == AzureAccess::Kind::kBearer);
  CHECK(access->secret == "the token");
  CHECK(access->endpoint == "https://acct.blob.core.windows.net");
  CHECK(access->expires > before + absl::Minutes(50));
  CHECK(access->expires < SteadyNow() + absl::Minutes(60));
  CHECK(server.requests().at(0).headers.at("metadata") == "true");
  CHECK(server.requests().at(0).target == "/token?resource=x");
  answer.status = 429;
  REQUIRE_STATUS(find().status(), absl::StatusCode::kUnavailable, "429");
  for (const char* const body : {"", "{}", "<html>"}) {
    answer = {.body = body};
    REQUIRE_STATUS(find().status(), absl::StatusCode::kFailedPrecondition, "no identity of Azure's");
  }
}

TEST_CASE("a request is signed over its method, headers, path and query") {
  const AzureAccess access = {.kind = AzureAccess::Kind::kSharedKey, .secret = "secret key", .endpoint = "https://x"};
  HttpRequest request = {.method = "PUT",
                         .url = "https://acct.blob.core.windows.net/c/a%20b?comp=block&blockid=QQ%3D%3D",
                         .headers = {"Content-MD5: abc=", "If-Match: \"tag\""},
                         .body = {.bytes = "12345"}};
  AuthorizeAzureRequest(access, "acct", absl::FromUnixSeconds(1'600'000'000), &request);
  CHECK(request.headers.at(2) == "x-ms-version: 2020-10-02");
  CHECK(request.headers.at(3) == "x-ms-date: Sun, 13 Sep 2020 12:26:40 GMT");
  CHECK(request.headers.at(4) == "Authorization: SharedKey acct:RYBYqTJa5neg1P8Gb1AFzGNMrnW0K5LtSsMiWRr41Zg=");
}

TEST_CASE("a signature of shared access goes behind the query, and a token into a header") {
  HttpRequest request = {.url = "https://h/c/a?comp=list"};
  AuthorizeAzureRequest({.kind = AzureAccess::Kind::kSas, .secret = "sv=1&sig=x"}, "acct", absl::UnixEpoch(), &request);
  CHECK(request.url == "https://h/c/a?comp=list&sv=1&sig=x");
  HttpRequest other = {.url = "https://h/c/a"};
  AuthorizeAzureRequest({.kind = AzureAccess::Kind::kBearer, .secret = "t"}, "acct", absl::UnixEpoch(), &other);
  CHECK(other.headers.back() == "Authorization: Bearer t");
}

}  // namespace
}  // namespace samovar
