#include "common/remote/schemes.h"

#include <cstdlib>

#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

TEST_CASE("each scheme has its storage, and a scheme that there is not is refused with those that there are") {
  const StorageTable table = ProgramStorage();
  for (const char* scheme :
       {"hdfs", "webhdfs", "swebhdfs", "wasb", "wasbs", "abfs", "abfss", "http", "https", "file"}) {
    INFO(scheme);
    REQUIRE_OK(table.StorageFor(std::string(scheme) + "://localhost/x"));
  }
  const absl::Status refused = table.StorageFor("s3://bucket/x").status();
  REQUIRE_STATUS(refused, absl::StatusCode::kInvalidArgument, "\"wasbs:\"");
  REQUIRE_STATUS(refused, absl::StatusCode::kInvalidArgument, "\"hdfs:\"");
}

TEST_CASE("a file of the web is fetched through the table") {
  HttpServer server([](const HttpServer::Request&) { return HttpServer::Response{.body = "net"}; });
  const TempDir directory;
  const StorageTable table = ProgramStorage({.directory = directory.File("cache")});
  const auto path = table.Fetch(server.url() + "/a/net.prototxt");
  REQUIRE_OK(path);
  CHECK_THAT(*path, Catch::EndsWith("/net.prototxt"));
  REQUIRE_STATUS(table.PutBytes(server.url() + "/a", "x"), absl::StatusCode::kInvalidArgument, "are for reading");
}

}  // namespace
}  // namespace samovar
