#include "server/cluster/membership.h"

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

TEST_CASE("a server is known by its identity, wherever it comes back, and else by its address") {
  Membership membership;
  v1::RegisterServerRequest first = Server("a:1", 1);
  first.set_identity(7);
  v1::RegisterServerRequest second = Server("b:1", 2);
  second.set_identity(8);
  REQUIRE_OK(membership.RegisterServer(first, At(0)));
  REQUIRE_OK(membership.RegisterServer(second, At(0)));
  // Back on another port.
  v1::RegisterServerRequest moved = Server("a:2", 3);
  moved.set_identity(7);
  REQUIRE_OK(membership.RegisterServer(moved, At(1)));
  REQUIRE(membership.servers().size() == 2);
  CHECK(membership.FindServer("a:1") == nullptr);
  CHECK(Membership::FindSuccessor(membership.servers(), first)->registration.incarnation() == 3);
  // Another one in its place.
  v1::RegisterServerRequest other = Server("a:2", 4);
  other.set_identity(9);
  REQUIRE_OK(membership.RegisterServer(other, At(2)));
  REQUIRE(membership.servers().size() == 2);
  CHECK(Membership::FindSuccessor(membership.servers(), moved)->registration.identity() == 9);
  // Two that have changed their places: the second comes back where the first was.
  second.set_address("a:2");
  REQUIRE_OK(membership.RegisterServer(second, At(3)));
  REQUIRE(membership.servers().size() == 1);
  CHECK(membership.servers()[0].registration.identity() == 8);
  CHECK(Membership::FindSuccessor(membership.servers(), Server("c:1", 5)) == nullptr);
}

TEST_CASE("a silent worker is forgotten and its id never given again") {
  Membership membership;
  v1::JoinRequest description;
  description.set_name("anna");
  const uint64_t anna = membership.Join(description, At(0));
  v1::JoinRequest other;
  other.set_name("boris");
  const uint64_t boris = membership.Join(other, At(0));
  CHECK(anna != boris);
  REQUIRE(membership.Touch(boris, At(5)) != nullptr);
  REQUIRE(membership.Touch(anna, At(0.5)) != nullptr);
  CHECK(membership.ExpireWorkers(At(6)).empty());
  const auto expired = membership.ExpireWorkers(At(7));
  REQUIRE(expired.size() == 1);
  CHECK(expired[0].id == anna);
  CHECK(expired[0].description.name() == "anna");
  CHECK(membership.Touch(anna, At(7)) == nullptr);
  const uint64_t again = membership.Join(description, At(7));
  CHECK(again != anna);
  CHECK(again != boris);
}

TEST_CASE("a worker that was killed is given up when its name joins again, unless it lives") {
  Membership membership;
  v1::JoinRequest description;
  description.set_name("anna");
  const uint64_t killed = membership.Join(description, At(0));
  CHECK(membership.ExpireWorkers(At(2)).empty());
  const uint64_t again = membership.Join(description, At(2));
  const auto expired = membership.ExpireWorkers(At(2));
  REQUIRE(expired.size() == 1);
  CHECK(expired[0].id == killed);
  CHECK(expired[0].replaced);
  // Two of one name that both live stay.
  const uint64_t twin = membership.Join(description, At(2.1));
  for (double time = 2.2; time < 10; time += 0.5) {
    for (const uint64_t worker : {again, twin}) CHECK(membership.Touch(worker, At(time)) != nullptr);
    CHECK(membership.ExpireWorkers(At(time + 0.4)).empty());
  }
}

}  // namespace
}  // namespace samovar
