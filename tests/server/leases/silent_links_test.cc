#include "server/leases/silent_links.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

v1::WorkerWait WaitFor(const std::vector<std::string>& servers, uint64_t ms) {
  v1::WorkerWait wait;
  for (const std::string& server : servers) {
    v1::SilentServer* silent = wait.add_silent();
    silent->set_address(server);
    silent->set_silent_ms(ms);
  }
  return wait;
}

TEST_CASE("a server that does not answer a worker is named once, and for as long as it does not") {
  SilentLinks links;
  const std::vector<std::string> servers = {"a:1", "b:1"};
  CHECK(links.Text(At(0)).empty());
  CHECK(links.Take(1, "anna", WaitFor({"b:1"}, 2000), servers, At(8)).empty());
  CHECK(links.Take(1, "anna", WaitFor({"b:1"}, 4000), servers, At(10)) ==
        std::vector<std::string>{"worker anna has had no answer from server b:1 for 4 s"});
  CHECK(links.Take(1, "anna", WaitFor({"b:1"}, 4500), servers, At(10.5)).empty());
  CHECK(links.Text(At(12)) == "worker anna has had no answer from server b:1 for 6 s");
  CHECK(links.TextOf(1, At(12)) == "it has had no answer from server b:1 for 6 s");
  CHECK(links.TextOf(2, At(12)).empty());
  CHECK(links.Take(2, "boris", WaitFor({"a:1"}, 3000), servers, At(12)).size() == 1);
  CHECK(
      links.Text(At(12)) ==
      "worker anna has had no answer from server b:1 for 6 s; worker boris has had no answer from server a:1 for 3 s");
  CHECK(links.Take(1, "anna", v1::WorkerWait(), servers, At(13)).empty());
  links.Forget(2);
  CHECK(links.Text(At(13)).empty());
}

TEST_CASE("servers that the job does not have, and numbers that cannot be, do no harm") {
  SilentLinks links;
  CHECK(links.Take(1, "anna", WaitFor({"evil\n:1"}, 4000), {"a:1"}, At(10)).empty());
  CHECK(links.Text(At(10)).empty());
  links.Take(1, "anna", WaitFor({"a:1"}, UINT64_MAX), {"a:1"}, At(10));
  CHECK(links.Text(At(10)) == "worker anna has had no answer from server a:1 for 86400 s");
}

}  // namespace
}  // namespace samovar
