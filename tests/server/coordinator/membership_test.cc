#include "server/coordinator/membership.h"

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

v1::RegisterServerRequest Server(const std::string& address, uint64_t incarnation) {
  v1::RegisterServerRequest request;
  request.set_address(address);
  request.set_incarnation(incarnation);
  return request;
}

TEST_CASE("a server that registers again is renewed, not added") {
  Membership membership;
  REQUIRE_OK(membership.RegisterServer(Server("a:1", 1), At(0)));
  REQUIRE_OK(membership.RegisterServer(Server("b:1", 2), At(0)));
  REQUIRE_OK(membership.RegisterServer(Server("a:1", 3), At(5)));
  REQUIRE(membership.servers().size() == 2);
  CHECK(membership.servers()[0].registration.incarnation() == 3);
  CHECK(membership.FindServer("a:1")->heard == At(5));
  CHECK(membership.FindServer("c:1") == nullptr);
  REQUIRE_STATUS(membership.RegisterServer(Server("", 1), At(0)), absl::StatusCode::kInvalidArgument, "address");
}

TEST_CASE("a silent worker is forgotten and its id never given again") {
  Membership membership;
  v1::JoinRequest description;
  description.set_name("anna");
  const uint64_t anna = membership.Join(description, At(0));
  const uint64_t boris = membership.Join(description, At(0));
  CHECK(anna != boris);
  REQUIRE(membership.Touch(boris, At(5)) != nullptr);
  const auto expired = membership.ExpireWorkers(At(7));
  REQUIRE(expired.size() == 1);
  CHECK(expired[0].id == anna);
  CHECK(expired[0].description.name() == "anna");
  CHECK(membership.Touch(anna, At(7)) == nullptr);
  const uint64_t again = membership.Join(description, At(7));
  CHECK(again != anna);
  CHECK(again != boris);
}

}  // namespace
}  // namespace samovar
