// Machines, networks and measured costs as users name them.
#include "cli/plan/machine_profile.h"

#include "absl/strings/match.h"
#include "common/model/consistency.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("the built-in profile has all costs") {
  const ProcessCosts& costs = BuiltInProfile().costs;
  for (const std::string& name : EncodingNames()) {
    INFO(name);
    const FloatSeconds& seconds = costs.encodings[static_cast<size_t>(EncodingOf(name))];
    for (const double value : {seconds.worker_push, seconds.worker_pull, seconds.server_push, seconds.server_pull}) {
      CHECK(value > 1e-12);
      CHECK(value < 1e-7);
    }
  }
  CHECK(costs.apply > 0);
  CHECK(costs.worker_request > 0);
  CHECK(costs.beyond_caches >= 1);
  CHECK(BuiltInProfile().peak_flops > 1e9);
}

TEST_CASE("a profile replaces what it has, and a wrong field is named") {
  const auto profile = ParseProfile(R"({"name": "mine", "microseconds": {"wake": 7}})");
  REQUIRE(profile.ok());
  CHECK(profile->name == "mine");
  CHECK(profile->costs.wake == Approx(7e-6));
  CHECK(profile->costs.apply == BuiltInProfile().costs.apply);
  const auto wrong = ParseProfile(R"({"nanoseconds_a_float": {"int8": {"worker_push": "fast"}}})");
  CHECK(absl::StrContains(wrong.status().message(), "int8"));
  CHECK(absl::StrContains(wrong.status().message(), "\"worker_push\" is to be a number from 0 on"));
  CHECK_FALSE(ParseProfile("{").ok());
  CHECK_FALSE(ParseProfile(R"({"beyond_caches": 0})").ok());
}

TEST_CASE("machines are found by name, with and without Azure's prefix") {
  CHECK(FindMachine("D4s_v5")->threads == 4);
  CHECK(FindMachine("standard_d8s_v5").status().ok() == false);
  CHECK(FindMachine("Standard_D8s_v5")->memory_bytes == Approx(32.0 * (1 << 30)));
  CHECK(absl::StrContains(FindMachine("M128").status().message(), "D2s_v5, D4s_v5"));
}

TEST_CASE("a network's speed has a unit") {
  CHECK(ParseNetwork("10gbit").value() == Approx(1.25e9));
  CHECK(ParseNetwork("100mbit").value() == Approx(12.5e6));
  CHECK(ParseNetwork("2.5gbit").value() == Approx(312.5e6));
  for (const char* wrong : {"", "10", "10GB", "gbit", "-1gbit", "0mbit", "nangbit", "infgbit"}) {
    INFO(wrong);
    CHECK_FALSE(ParseNetwork(wrong).ok());
  }
}

}  // namespace
}  // namespace samovar
