#include "common/remote/hadoop_configuration.h"

#include <cstdlib>
#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

TEST_CASE("properties of both files are read, with those that they refer to") {
  const TempDir directory;
  std::ofstream(directory.File("core-site.xml")) << R"(<?xml version="1.0"?>
<configuration>
  <property><name>fs.defaultFS</name><value>hdfs://${cluster}</value><final>true</final></property>
  <property><name>round</name><value>${round}</value></property>
  <property><name>unknown</name><value>a${no.such}b</value></property>
  <property><name>home</name><value>${env.SAMOVAR_TEST_HOME}/x</value></property>
</configuration>)";
  std::ofstream(directory.File("hdfs-site.xml"))
      << "<configuration><property><name>cluster</name><value> main </value></property></configuration>";
  setenv("SAMOVAR_TEST_HOME", "/place", 1);
  const auto configuration = HadoopConfiguration::FromDirectory(directory.path());
  REQUIRE_OK(configuration);
  CHECK(configuration->Get("fs.defaultFS") == "hdfs://main");
  CHECK(configuration->Get("round") == "${round}");
  CHECK(configuration->Get("unknown") == "a${no.such}b");
  CHECK(configuration->Get("home") == "/place/x");
  CHECK(configuration->Get("none", "other") == "other");
  CHECK(configuration->Has("cluster"));
  CHECK_FALSE(configuration->Has("none"));
  unsetenv("SAMOVAR_TEST_HOME");
}

TEST_CASE("a directory without files has no properties, and a file that is none is named without what it holds") {
  const TempDir directory;
  REQUIRE_OK(HadoopConfiguration::FromDirectory(directory.path()));
  REQUIRE_OK(HadoopConfiguration::FromDirectory("/no/such/directory"));
  std::ofstream(directory.File("core-site.xml")) << "<configuration><property><value>SECRET</value>";
  const absl::Status broken = HadoopConfiguration::FromDirectory(directory.path()).status();
  REQUIRE_STATUS(broken, absl::StatusCode::kInvalidArgument, "core-site.xml: no XML: line 1");
  CHECK_FALSE(absl::StrContains(broken.message(), "SECRET"));
  std::ofstream(directory.File("core-site.xml")) << "<properties/>";
  REQUIRE_STATUS(HadoopConfiguration::FromDirectory(directory.path()).status(), absl::StatusCode::kInvalidArgument,
                 "not <configuration>");
}

}  // namespace
}  // namespace samovar
