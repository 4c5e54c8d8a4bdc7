#include "cli/report/standstill.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

v1::JobStatus Running(uint64_t iterations, double images_per_second = 0) {
  v1::JobStatus status;
  status.set_job_id("lenet");
  status.set_state(v1::JOB_STATE_RUNNING);
  status.set_completed_iterations(iterations);
  status.set_images_per_second(images_per_second);
  return status;
}

v1::ClusterStatus Waiting() {
  v1::ClusterStatus cluster;
  v1::WorkerStatus* const worker = cluster.add_workers();
  worker->set_worker_id(1);
  worker->set_name("w1");
  worker->set_state("waits for weights of server a:1");
  worker->add_leases("lenet: train 4..8");
  v1::WorkerStatus* const other = cluster.add_workers();
  other->set_name("w2");
  other->set_state("computes");
  other->add_leases("alexnet: train 4..8");
  cluster.add_problems("job lenet stands still: no iteration for 6 s");
  cluster.add_problems("server a:1 has been silent for 6 s");
  return cluster;
}

v1::JobEvent Event(const std::string& text) {
  v1::JobEvent event;
  event.set_text(text);
  return event;
}

}  // namespace

TEST_CASE("a job that gets on is never told to stand still, also if its iterations take long") {
  Standstill standstill;
  standstill.Take(Running(5), At(0));
  CHECK(!standstill.IsDue(At(4.9)));
  standstill.Take(Running(6), At(4.9));
  CHECK(!standstill.IsDue(At(9.8)));
  // One iteration a minute: its rate is not 0 meanwhile.
  standstill.Take(Running(6, 3.5), At(30));
  CHECK(!standstill.IsDue(At(34)));
  v1::JobStatus ended = Running(6);
  ended.set_state(v1::JOB_STATE_SUCCEEDED);
  standstill.Take(ended, At(40));
  CHECK(!standstill.IsDue(At(400)));
}

TEST_CASE("after five seconds it is told why nothing moves, and then ever more seldom") {
  Standstill standstill;
  standstill.Take(Running(5), At(0));
  standstill.Take(Running(5), At(4));
  REQUIRE(standstill.IsDue(At(5)));
  const std::vector<v1::JobEvent> events = {Event("1"), Event("2"), Event("3"), Event("the job has begun")};
  const auto facts = standstill.Explain(Waiting(), events, At(6));
  REQUIRE(facts.has_value());
  CHECK(facts->seconds == 6);
  CHECK(facts->reasons == std::vector<std::string>{"server a:1 has been silent for 6 s",
                                                   "worker w1 (1) waits for weights of server a:1"});
  REQUIRE(facts->events.size() == 3);
  CHECK(absl::EndsWith(facts->events[2], "the job has begun"));
  // The ages alone have changed.
  std::vector<double> told;
  for (double second = 7; second < 250; ++second) {
    if (!standstill.IsDue(At(second))) continue;
    v1::ClusterStatus later = Waiting();
    later.set_problems(1, absl::StrCat("server a:1 has been silent for ", second, " s"));
    if (standstill.Explain(later, events, At(second)).has_value()) told.push_back(second);
  }
  CHECK(told == std::vector<double>{36, 96, 216});
  // Something else is wrong.
  v1::ClusterStatus other = Waiting();
  other.add_problems("worker w2 (2), 1 s ago: has been silent for 6 s");
  CHECK(standstill.Explain(other, events, At(260)).has_value());
}

TEST_CASE("a job whose workers test does not stand still") {
  Standstill standstill;
  standstill.Take(Running(5), At(0));
  v1::ClusterStatus cluster = Waiting();
  cluster.mutable_workers(0)->mutable_figures()->set_activity(v1::WORKER_ACTIVITY_TESTING);
  CHECK(!standstill.Explain(cluster, {}, At(6)).has_value());
  cluster.mutable_workers(0)->set_silent_seconds(5);
  CHECK(standstill.Explain(cluster, {}, At(12)).has_value());
}

TEST_CASE("of many reasons the first are told") {
  Standstill standstill;
  standstill.Take(Running(5), At(0));
  v1::ClusterStatus cluster;
  for (int i = 0; i < 9; ++i) cluster.add_problems(absl::StrCat("problem ", i));
  const auto facts = standstill.Explain(cluster, {}, At(6));
  REQUIRE(facts.has_value());
  CHECK(facts->reasons.size() == Standstill::kReasons + 1);
  CHECK(facts->reasons.back() == "and 4 more (samovar status)");
}

TEST_CASE("programs that read Caffe's logs find nothing in the line of a standstill") {
  StandstillFacts facts;
  facts.seconds = 6;
  facts.reasons = {"Iteration 5, lr = 0.01", "Train net output #0: loss = 1"};
  facts.events = {"12:00:01 a\nb"};
  const std::string line = StandstillLine(facts);
  CHECK(line ==
        "nothing has moved for 6 s: iteration 5, lr: 0.01; Train output 0: loss = 1; newest events: 12:00:01 a\\nb");
  CHECK(StandstillText(facts).find("\n  newest events:\n    12:00:01") != std::string::npos);
}

}  // namespace samovar
