#include "server/monitor/status_changes.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

v1::ClusterStatus Status() {
  v1::ClusterStatus status;
  status.add_servers()->set_address("a:1");
  status.add_servers()->set_address("b:1");
  status.add_workers()->set_worker_id(7);
  status.add_jobs()->set_job_id("lenet");
  return status;
}

TEST_CASE("the first status is whole, the later ones are what has changed") {
  StatusChanges changes;
  const auto first = changes.Next(Status());
  REQUIRE(first.has_value());
  CHECK(first->servers_size() == 2);
  CHECK(first->workers_size() == 1);
  CHECK(first->jobs_size() == 1);

  // Only ages.
  v1::ClusterStatus status = Status();
  status.set_unix_ms(5);
  status.set_uptime_seconds(9);
  status.mutable_servers(0)->set_silent_seconds(0.3);
  status.mutable_workers(0)->mutable_figures()->set_activity_seconds(4);
  status.mutable_workers(0)->mutable_figures()->set_cpu_seconds(1);
  status.mutable_jobs(0)->set_idle_seconds(2);
  CHECK_FALSE(changes.Next(status).has_value());

  status.mutable_servers(1)->mutable_figures()->set_pulls(3);
  status.mutable_jobs(0)->set_iteration(12);
  const auto second = changes.Next(status);
  REQUIRE(second.has_value());
  REQUIRE(second->servers_size() == 1);
  CHECK(second->servers(0).address() == "b:1");
  CHECK(second->workers().empty());
  REQUIRE(second->jobs_size() == 1);
  CHECK(second->jobs(0).iteration() == 12);
  CHECK_FALSE(changes.Next(status).has_value());
}

TEST_CASE("what is no more is said once") {
  StatusChanges changes;
  (void)changes.Next(Status());
  v1::ClusterStatus status = Status();
  status.clear_workers();
  status.clear_jobs();
  status.mutable_servers()->RemoveLast();
  const auto next = changes.Next(status);
  REQUIRE(next.has_value());
  REQUIRE(next->removed_workers_size() == 1);
  CHECK(next->removed_workers(0) == 7);
  REQUIRE(next->removed_jobs_size() == 1);
  CHECK(next->removed_jobs(0) == "lenet");
  REQUIRE(next->removed_servers_size() == 1);
  CHECK(next->removed_servers(0) == "b:1");
  CHECK_FALSE(changes.Next(status).has_value());
}

TEST_CASE("a new problem alone is news") {
  StatusChanges changes;
  (void)changes.Next(Status());
  v1::ClusterStatus status = Status();
  status.add_problems("server a:1 has been silent for 4 s");
  REQUIRE(changes.Next(status).has_value());
  CHECK_FALSE(changes.Next(status).has_value());
}

}  // namespace
}  // namespace samovar
