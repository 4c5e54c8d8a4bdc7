#include "cli/yarn/service_spec.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/remote/json.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

using google::protobuf::Struct;

ServicePlan Plan() {
  ServicePlan plan;
  plan.name = "lenet-1";
  plan.home = "hdfs:///user/me/samovar/lenet-1";
  plan.bundle = "hdfs://nn/bundles/ab/samovar-0.1.0-linux-x86_64.tar.gz";
  return plan;
}

Struct Specification(const ServicePlan& plan) {
  REQUIRE_OK(CheckServicePlan(plan));
  const absl::StatusOr<Struct> parsed = ParseJson(ServiceSpecification(plan));
  REQUIRE_OK(parsed);
  return *parsed;
}

std::vector<std::string> Tags(const Struct& component, const std::string& type = "") {
  std::vector<std::string> tags;
  for (const Struct& constraint : JsonObjects(JsonObject(component, "placement_policy"), "constraints")) {
    CHECK(JsonText(constraint, "type") == type);
    for (const auto& value : constraint.fields().at("target_tags").list_value().values()) {
      tags.push_back(value.string_value());
    }
  }
  return tags;
}

}  // namespace

TEST_CASE("a service has servers, which know their number, and workers, and both are restarted for ever") {
  ServicePlan plan = Plan();
  plan.servers = 3;
  plan.workers = 8;
  plan.server_memory = 1000;
  plan.worker_cpus = 4;
  plan.cache_bytes = 5;
  plan.allow_plaintext = true;
  const Struct service = Specification(plan);
  CHECK(JsonText(service, "name") == "lenet-1");
  const std::vector<Struct> components = JsonObjects(service, "components");
  REQUIRE(components.size() == 2);
  CHECK(JsonText(components[0], "name") == "server");
  CHECK(JsonNumber(components[0], "number_of_containers") == 3);
  CHECK(JsonText(JsonObject(components[0], "resource"), "memory") == "1000");
  CHECK(JsonText(components[0], "launch_command") ==
        "sh samovar/*/deploy/yarn/container.sh server ${COMPONENT_ID} hdfs:///user/me/samovar/lenet-1 "
        "--apply-threads 1 --parameter-memory 600 --allow-plaintext");
  CHECK(JsonText(components[1], "name") == "worker");
  CHECK(JsonNumber(components[1], "number_of_containers") == 8);
  CHECK(JsonText(components[1], "launch_command") ==
        "sh samovar/*/deploy/yarn/container.sh worker ${COMPONENT_ID} hdfs:///user/me/samovar/lenet-1 --threads 4 "
        "--cache cache --cache-bytes 5");
  CHECK(JsonNumber(JsonObject(components[1], "resource"), "cpus") == 4);
  for (const Struct& component : components) CHECK(JsonText(component, "restart_policy") == "ALWAYS");
  const Struct& configuration = JsonObject(service, "configuration");
  // Without them a start in place damages the bundle of its node, and the tenth end is that of the service.
  const Struct& properties = JsonObject(configuration, "properties");
  CHECK(JsonText(properties, "yarn.service.container-failure.retry.max") == "0");
  CHECK(JsonNumber(properties, "yarn.service.container-failure-per-component.threshold") > 1000);
  const std::vector<Struct> files = JsonObjects(configuration, "files");
  REQUIRE(files.size() == 1);
  CHECK(JsonText(files[0], "type") == "ARCHIVE");
  CHECK(JsonText(files[0], "src_file") == plan.bundle);
}

TEST_CASE("servers that are spread share no node, and YARN is told of their own component alone") {
  ServicePlan plan = Plan();
  CHECK(Tags(JsonObjects(Specification(plan), "components")[0]).empty());
  plan.spread = true;
  const std::vector<Struct> components = JsonObjects(Specification(plan), "components");
  CHECK(Tags(components[0], "ANTI_AFFINITY") == std::vector<std::string>{"server"});
  // Workers may stand anywhere, and YARN must be told so: it does not replace containers without a constraint then.
  CHECK(Tags(components[1], "AFFINITY_WITH_CARDINALITY") == std::vector<std::string>{"worker"});
}

TEST_CASE("a service's queue, lifetime, principal and configuration are in its specification if they are given") {
  ServicePlan plan = Plan();
  Struct service = Specification(plan);
  for (const char* const field : {"queue", "lifetime", "kerberos_principal"}) CHECK(service.fields().count(field) == 0);
  plan.queue = "training";
  plan.lifetime_seconds = 60;
  plan.principal = "me/_HOST@REALM";
  plan.keytab = "hdfs:///keytab";
  plan.configuration = {"hdfs://nn/conf/core-site.xml"};
  service = Specification(plan);
  CHECK(JsonText(service, "queue") == "training");
  CHECK(JsonNumber(service, "lifetime") == 60);
  CHECK(JsonText(JsonObject(service, "kerberos_principal"), "principal_name") == "me/_HOST@REALM");
  const std::vector<Struct> files = JsonObjects(JsonObject(service, "configuration"), "files");
  REQUIRE(files.size() == 2);
  CHECK(JsonText(files[1], "type") == "STATIC");
  CHECK(JsonText(files[1], "dest_file") == "core-site.xml");
}

TEST_CASE("names that YARN refuses and URIs that a shell would change are refused before anything is launched") {
  for (const char* const name : {"", "Lenet", "1lenet", "le_net", "lenet-", "a b"}) {
    ServicePlan plan = Plan();
    plan.name = name;
    REQUIRE_STATUS(CheckServicePlan(plan), absl::StatusCode::kInvalidArgument, "no name of a YARN service");
  }
  for (const char* const home : {"", "hdfs:///a b", "hdfs:///$x", "hdfs:///a'b", "hdfs:///a;b", "hdfs:///`x`"}) {
    ServicePlan plan = Plan();
    plan.home = home;
    REQUIRE_STATUS(CheckServicePlan(plan), absl::StatusCode::kInvalidArgument, "--home");
  }
  ServicePlan plan = Plan();
  plan.bundle = "hdfs:///a\"b";
  REQUIRE_STATUS(CheckServicePlan(plan), absl::StatusCode::kInvalidArgument, "--bundle");
}

}  // namespace samovar
