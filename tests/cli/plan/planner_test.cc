// A plan: what is chosen for the user, and what is said of it.
#include "cli/plan/planner.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "cli/describe_plan.h"
#include "cli/plan/memory_need.h"
#include "tests/cli/plan/plan_shapes.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

PlanRequest Request(uint32_t workers, double network) {
  PlanRequest request;
  request.job = RoundJob();
  request.cluster = RoundCluster(workers, 1, network);
  return request;
}

bool Offers(const Plan& plan, const std::string& change) {
  return std::any_of(plan.alternatives.begin(), plan.alternatives.end(),
                     [&](const Alternative& alternative) { return alternative.change == change; });
}

TEST_CASE("one server and float32 are chosen where more would not help") {
  const Plan plan = MakePlan(Request(4, 1e9)).value();
  CHECK(plan.cluster.servers == 1);
  CHECK(plan.choices.mode == v1::CONSISTENCY_ASYNC);
  CHECK(plan.choices.encoding == v1::ENCODING_FLOAT32);
  CHECK(plan.alone_images_per_second == Approx(100));
  CHECK(plan.efficiency == Approx(1).epsilon(0.03));
  CHECK(absl::StrContains(plan.bottleneck, "processors"));
  CHECK_FALSE(Offers(plan, "--servers 2"));
  CHECK(plan.job_seconds == Approx(10'000 * 10 / plan.outcome.images_per_second));
  CHECK(plan.epoch_seconds == Approx(1000 / plan.outcome.images_per_second));
}

TEST_CASE("where the servers' network is full, more servers or fewer bytes are chosen, or told") {
  PlanRequest request = Request(16, 60e6);
  const Plan chosen = MakePlan(request).value();
  CHECK((chosen.cluster.servers > 1 || chosen.choices.encoding != v1::ENCODING_FLOAT32));
  request.servers = 1;
  request.encoding_is_set = true;
  const Plan plan = MakePlan(request).value();
  CHECK(plan.cluster.servers == 1);
  CHECK(plan.choices.encoding == v1::ENCODING_FLOAT32);
  CHECK(plan.outcome.images_per_second < chosen.outcome.images_per_second);
  CHECK(absl::StrContains(plan.bottleneck, "servers' network"));
  CHECK(Offers(plan, "--servers 2"));
  CHECK(Offers(plan, "--encoding int8"));
  CHECK(Offers(plan, "a network twice as fast"));
  CHECK_FALSE(Offers(plan, "--workers 32"));
}

TEST_CASE("more workers than the iterations allow are told, and sync mode is chosen where it is faster") {
  PlanRequest request = Request(10, 0);
  request.job.max_iter = 1000;
  const Plan sync = MakePlan(request).value();
  CHECK(sync.choices.mode == v1::CONSISTENCY_SYNC);
  CHECK(sync.choices.parts == 10);
  CHECK_FALSE(sync.workers_without_loss.has_value());
  request.mode_is_set = true;
  const Plan async = MakePlan(request).value();
  CHECK(async.workers_without_loss == 4u);
  CHECK(absl::StrContains(async.accuracy_warning, "cost accuracy"));
  CHECK(absl::StrContains(DescribePlan(request, async), "10 workers cost accuracy"));
}

TEST_CASE("a plan says what does not go together") {
  PlanRequest request = Request(2, 0);
  request.mode_is_set = request.parts_are_set = true;
  request.choices.mode = v1::CONSISTENCY_SYNC;
  request.choices.parts = 3;
  CHECK(absl::StrContains(MakePlan(request).status().message(), "--parts 3 does not divide the batch of 10"));
  request.choices.parts = 5;
  CHECK(MakePlan(request).ok());
  request.choices.push_every = 2;
  CHECK(absl::StrContains(MakePlan(request).status().message(), "--push-every"));
  request.choices.push_every = 1;
  request.encoding_is_set = true;
  request.choices.encoding = v1::ENCODING_SPARSE;
  CHECK(absl::StrContains(MakePlan(request).status().message(), "topk"));
}

TEST_CASE("memory that a machine does not have is told") {
  PlanRequest request = Request(2, 0);
  request.cluster.worker_machine.memory_bytes = 50e6;
  CHECK(absl::StrContains(MakePlan(request)->memory_warning, "a worker needs"));
  // Weights and gradients of 4 MB each, ten images of 1 MB; weights, history and a copy of both.
  CHECK(WorkerBytes(request.job, {}) == Approx(110e6 + 8e6 + 10e6));
  CHECK(ServerBytes(request.job, {}, 1, 2) == Approx(40e6 + 16e6 + 2 * (2 << 20)));
  CHECK(ServerBytes(request.job, {}, 4, 2) < ServerBytes(request.job, {}, 1, 2));
}

TEST_CASE("a plan is told in words and as JSON") {
  const PlanRequest request = Request(4, 60e6);
  const Plan plan = MakePlan(request).value();
  const std::string text = DescribePlan(request, plan);
  for (const char* words : {"round, 1.00 M parameters", "4 workers", "images/s", "one worker alone 100 images/s",
                            "held up by", "staleness", "--servers "}) {
    INFO(text);
    CHECK(absl::StrContains(text, words));
  }
  const std::string json = PlanJson(request, plan);
  CHECK(absl::StartsWith(json, "{\"net\":\"round\",\"parameters\":1000000,\"workers\":4,"));
  CHECK(absl::StrContains(json, "\"alternatives\":["));
}

}  // namespace
}  // namespace samovar
