#include "server/announced_address.h"

#include <string>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

TEST_CASE("an address that stands for all of a machine's is told from one of them") {
  for (const char* all : {"0.0.0.0:7401", "0:7401", "[::]:7401", "[0:0:0:0:0:0:0:0]:0"}) {
    INFO(all);
    CHECK(ListensEverywhere(all));
  }
  for (const char* one :
       {"127.0.0.1:7401", "10.0.0.1:0", "[::1]:7401", "localhost:7401", "0.example:7401", "unix:/run/0"}) {
    INFO(one);
    CHECK_FALSE(ListensEverywhere(one));
  }
}

TEST_CASE("towards this machine itself its own address is the one of the loop") {
  const auto by_number = HostTowards("127.0.0.1:7400");
  REQUIRE_OK(by_number);
  CHECK(*by_number == "127.0.0.1");
  const auto by_name = HostTowards("localhost:7400");
  REQUIRE_OK(by_name);
  CHECK((*by_name == "127.0.0.1" || *by_name == "[::1]"));
}

TEST_CASE("a host that nobody knows, or to which no route leads, is an error that may pass") {
  // No name may be as long as that.
  REQUIRE_STATUS(HostTowards(std::string(300, 'a') + ":7400"), absl::StatusCode::kUnavailable, "cannot be looked up");
  // Everybody's address: a datagram to it needs a permission that no socket has by itself.
  REQUIRE_STATUS(HostTowards("255.255.255.255:7400"), absl::StatusCode::kUnavailable,
                 "no route leads to 255.255.255.255:7400");
}

}  // namespace
}  // namespace samovar
