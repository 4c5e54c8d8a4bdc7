#include "worker/train/activity_clock.h"

#include "common/parameters/push_counters.h"
#include "tests/support/catch.h"
#include "tests/worker/train/small_cluster.h"

namespace samovar {
namespace {

using Seen = FakeCoordinator::Seen;

double AtBoth(SmallCluster* cluster, const std::string& name, const Metrics::Labels& labels = {}) {
  return cluster->server(0).metrics().Value(name, labels) + cluster->server(1).metrics().Value(name, labels);
}

TEST_CASE("what servers and a worker count of a training is what its ledgers hold") {
  constexpr uint64_t kIterations = 30;
  SmallCluster cluster;
  cluster.coordinator().QueueTraining(0, kIterations);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.train.size() == kIterations; });
  REQUIRE(seen.failures.empty());
  worker.Stop();

  REQUIRE(cluster.Applied() == kIterations * kChunks);
  CHECK(AtBoth(&cluster, "samovar_server_pushes_total", {{"outcome", "applied"}}) == kIterations * kChunks);
  CHECK(AtBoth(&cluster, "samovar_server_pushes_total") == kIterations * kChunks);
  // The first weights, and those that come with each push but the last.
  CHECK(AtBoth(&cluster, "samovar_server_pulls_total") == kIterations * kChunks);
  CHECK(AtBoth(&cluster, "samovar_server_received_bytes_total") > kIterations * kElements * sizeof(float));
  CHECK(AtBoth(&cluster, "samovar_server_sent_bytes_total") > kIterations * kElements * sizeof(float));
  CHECK(AtBoth(&cluster, "samovar_server_apply_seconds_count") >= kIterations * 2);
  CHECK(AtBoth(&cluster, "samovar_server_apply_seconds_sum") > 0);
  CHECK(AtBoth(&cluster, "samovar_server_refused_total") == 0);
  CHECK(AtBoth(&cluster, "samovar_server_queued_tasks") == 0);
  // Each server has its own.
  CHECK(cluster.server(0).metrics().Value("samovar_server_pushes_total") ==
        static_cast<double>(cluster.server(0).Ledgers(cluster.spec().job_id()).counters().applied()));

  const Metrics& counted = worker.metrics();
  CHECK(counted.Value("samovar_worker_records_total") ==
        static_cast<double>(kIterations * cluster.spec().train_data().batch_size()));
  for (const char* name : {"compute", "feed_wait", "push_wait", "pull_wait"}) {
    INFO(name);
    CHECK(counted.Value(absl::StrCat("samovar_worker_", name, "_seconds_total")) > 0);
  }
}

TEST_CASE("a clock has the staleness of the pushes since the job was taken up") {
  Metrics metrics;
  ActivityClock clock(&metrics);
  v1::PushCounters pushes;
  for (const uint64_t staleness : {0, 1, 1, 7}) CountApplied(staleness, &pushes);
  clock.CountPushes(pushes);
  v1::WorkerFigures figures;
  clock.WriteTo(&figures);
  CHECK(figures.staleness_pushes() == 4);
  CHECK(figures.staleness_p50() == 1);
  CHECK(figures.staleness_p99() == 7);
  CHECK(figures.staleness_max() == 7);
  CHECK(clock.LatenessNote().empty());
  for (int i = 0; i < 8; ++i) CountApplied(7, &pushes);
  clock.CountPushes(pushes);
  CHECK(absl::StrContains(clock.LatenessNote(), "come 7 updates late"));
  CHECK(absl::StrContains(clock.LatenessNote(), "fewer workers, --mode bounded or --mode sync"));
  clock.ForgetPushes();
  CHECK(clock.LatenessNote().empty());
  clock.WriteTo(&figures);
  CHECK(figures.staleness_pushes() == 0);
  CHECK(figures.staleness_max() == 0);
}

}  // namespace
}  // namespace samovar
