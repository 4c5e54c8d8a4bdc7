#include "common/remote/hdfs_place.h"

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

using Nodes = std::vector<std::string>;

TEST_CASE("a host's web address is that of webhdfs: itself, and the usual port's for hdfs:") {
  const HadoopConfiguration none;
  CHECK(FindHdfsPlace("webhdfs://nn:30070/a/b", none)->namenodes == Nodes{"http://nn:30070"});
  CHECK(FindHdfsPlace("swebhdfs://nn:30470/a", none)->namenodes == Nodes{"https://nn:30470"});
  CHECK(FindHdfsPlace("hdfs://nn:8020/a/b", none)->namenodes == Nodes{"http://nn:9870"});
  CHECK(FindHdfsPlace("hdfs://nn:8020/a/b", none)->path == "/a/b");
  CHECK(FindHdfsPlace("hdfs://nn", none)->path == "/");
}

TEST_CASE("a name service has the addresses of all its namenodes, with TLS where the policy says so") {
  HadoopConfiguration configuration;
  configuration.Set("dfs.ha.namenodes.main", "nn1, nn2");
  configuration.Set("dfs.namenode.http-address.main.nn1", "hn0:30070");
  REQUIRE_STATUS(FindHdfsPlace("hdfs://main/a", configuration).status(), absl::StatusCode::kInvalidArgument,
                 "dfs.namenode.http-address.main.nn2");
  configuration.Set("dfs.namenode.http-address.main.nn2", "hn1:30070");
  CHECK(FindHdfsPlace("hdfs://main/a", configuration)->namenodes == Nodes{"http://hn0:30070", "http://hn1:30070"});
  CHECK(FindHdfsPlace("webhdfs://main/a", configuration)->namenodes.size() == 2);
  configuration.Set("fs.defaultFS", "hdfs://main");
  CHECK(FindHdfsPlace("hdfs:///a", configuration)->authority == "main");
  configuration.Set("dfs.http.policy", "HTTPS_ONLY");
  configuration.Set("dfs.namenode.https-address.main.nn1", "hn0:1");
  configuration.Set("dfs.namenode.https-address.main.nn2", "hn1:1");
  CHECK(FindHdfsPlace("hdfs:///a", configuration)->namenodes == Nodes{"https://hn0:1", "https://hn1:1"});
}

TEST_CASE("the configured address is taken for the configured host, and its own host where it listens on all") {
  HadoopConfiguration configuration;
  configuration.Set("fs.defaultFS", "hdfs://nn:8020");
  configuration.Set("dfs.namenode.http-address", "0.0.0.0:50070");
  CHECK(FindHdfsPlace("hdfs:///a", configuration)->namenodes == Nodes{"http://nn:50070"});
  CHECK(FindHdfsPlace("hdfs://nn/a", configuration)->namenodes == Nodes{"http://nn:50070"});
  CHECK(FindHdfsPlace("hdfs://other/a", configuration)->namenodes == Nodes{"http://other:9870"});
}

TEST_CASE("a URI without a name needs a cluster's HDFS") {
  HadoopConfiguration configuration;
  REQUIRE_STATUS(FindHdfsPlace("hdfs:///a", configuration).status(), absl::StatusCode::kInvalidArgument,
                 "fs.defaultFS");
  configuration.Set("fs.defaultFS", "wasb://c@a/");
  REQUIRE_STATUS(FindHdfsPlace("hdfs:///a", configuration).status(), absl::StatusCode::kInvalidArgument,
                 "fs.defaultFS");
  REQUIRE_STATUS(FindHdfsPlace("hdfs:a", configuration).status(), absl::StatusCode::kInvalidArgument,
                 "names no namenode");
}

}  // namespace
}  // namespace samovar
