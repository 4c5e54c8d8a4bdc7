// Iterations whose loss or gradient is not finite, in jobs that skip them.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "tests/worker/train/small_cluster.h"

namespace samovar {
namespace {

using Seen = FakeCoordinator::Seen;

void Skips(v1::JobSpec* spec) { spec->mutable_consistency()->set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP); }

// The push of an iteration to one server, by a worker whose lease was lost before it came further.
void PushTo(SmallCluster& cluster, int server, uint64_t iteration) {
  v1::ExchangeRequest request;
  request.set_job_id(cluster.spec().job_id());
  request.set_epoch(FakeCoordinator::kEpoch);
  request.set_sequence(1);
  request.set_iteration(iteration);
  const std::vector<float> gradient(server == 0 ? kChunkElements : kElements - kChunkElements, 1.0f);
  v1::ChunkData* chunk = request.add_push();
  chunk->set_chunk(static_cast<uint32_t>(server));
  chunk->set_payload(gradient.data(), gradient.size() * sizeof(float));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(60));
  const auto stream =
      v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(cluster.server(server).address()))->Exchange(&context);
  REQUIRE(stream->Write(request));
  v1::ExchangeResponse response;
  REQUIRE(stream->Read(&response));
  INFO(response.message());
  REQUIRE(response.applied() == 1);
  stream->WritesDone();
  REQUIRE(stream->Finish().ok());
}

// The iterations that such a worker has skipped.
void SkipAtFirst(SmallCluster& cluster, uint64_t iteration) {
  v1::SkipRequest request;
  request.set_job_id(cluster.spec().job_id());
  request.set_epoch(FakeCoordinator::kEpoch);
  request.set_iteration(iteration);
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(60));
  v1::SkipResponse response;
  REQUIRE_OK(FromGrpcStatus(v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(cluster.server(0).address()))
                                ->Skip(&context, request, &response)));
  REQUIRE(response.skipped() == 1);
}

TEST_CASE("where the job says so, an iteration that is not finite is entered in all ledgers and changes nothing") {
  const uint32_t parts = GENERATE(0u, 5u);
  SmallCluster cluster([parts](v1::JobSpec* spec) {
    spec->mutable_solver()->set_base_lr(1e30f);
    spec->mutable_consistency()->set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP);
    if (parts > 0) InParts(spec, 1);
  });
  if (parts == 0) {
    cluster.coordinator().QueueTraining(0, 20);
  } else {
    cluster.coordinator().QueueParts(0, 20, {0, 1, 2, 3, 4});
  }
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen =
      cluster.coordinator().Await([](const Seen& s) { return s.train.contains(19) || !s.failures.empty(); });
  // The reported result may be the iteration's first part.
  const absl::Time deadline = SteadyNow() + absl::Seconds(60);
  for (int server : {0, 1}) {
    while (cluster.server(server).Ledgers("small").ledgers(0).ledger().watermark() < 20 && SteadyNow() < deadline) {
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
  worker.Stop();
  INFO((seen.failures.empty() ? "" : seen.failures[0].message()));
  REQUIRE(seen.failures.empty());
  CHECK(seen.train.at(0).skipped().empty());
  // Once diverged, always.
  CHECK_THAT(seen.train.at(19).skipped(),
             Catch::Contains("the loss of layer") || Catch::Contains("the gradient of layer"));
  CHECK(seen.train.at(19).loss() == 0);
  for (int server : {0, 1}) {
    const v1::GetLedgersResponse ledgers = cluster.server(server).Ledgers("small");
    CHECK(ledgers.ledgers(0).ledger().watermark() == 20);
    // The worker has all parts: it pushes, and skips, their sum.
    CHECK(ledgers.counters().applied() + ledgers.counters().skipped() == 20);
    CHECK(ledgers.counters().skipped() > 0);
    CHECK(ledgers.counters().rejected() == 0);
  }
}

TEST_CASE(
    "an iteration of which a chunk has an earlier lease's update is skipped in the others, and the report says so") {
  SmallCluster cluster([](v1::JobSpec* spec) {
    Skips(spec);
    spec->mutable_train_net()->mutable_layer(0)->mutable_transform_param()->set_scale(1e38f);
  });
  const std::vector<float> before = cluster.Weights();
  PushTo(cluster, 0, 0);
  cluster.coordinator().QueueTraining(0, 2);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen =
      cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 2 || !s.failures.empty(); });
  worker.Stop();
  REQUIRE(seen.failures.empty());
  CHECK_THAT(seen.train.at(0).skipped(),
             Catch::Contains("layer") && Catch::Contains("; 1 of 2 chunks have an update of it from an earlier lease"));
  CHECK(seen.train.at(0).updated_chunks() == 1);
  CHECK_THAT(seen.train.at(1).skipped(), Catch::Contains("layer") && !Catch::Contains("chunks have an update"));
  const std::vector<float> after = cluster.Weights();
  for (size_t i = 0; i < before.size(); ++i) {
    const float change = i < kChunkElements ? cluster.spec().solver().base_lr() : 0;
    if (after[i] != before[i] - change) FAIL("weight " << i << " went from " << before[i] << " to " << after[i]);
  }
  for (const int server : {0, 1}) {
    const v1::GetLedgersResponse ledgers = cluster.server(server).Ledgers("small");
    CHECK(ledgers.ledgers(0).ledger().watermark() == 2);
    CHECK(ledgers.counters().applied() == (server == 0 ? 1 : 0));
    CHECK(ledgers.counters().skipped() == (server == 0 ? 1 : 2));
  }
}

TEST_CASE("an iteration of which all chunks have an earlier lease's update is reported as applied, without results") {
  SmallCluster cluster([](v1::JobSpec* spec) {
    Skips(spec);
    spec->mutable_train_net()->mutable_layer(0)->mutable_transform_param()->set_scale(1e38f);
  });
  for (const int server : {0, 1}) PushTo(cluster, server, 0);
  cluster.coordinator().QueueTraining(0, 2);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen =
      cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 2 || !s.failures.empty(); });
  worker.Stop();
  REQUIRE(seen.failures.empty());
  CHECK(seen.train.at(0).skipped().empty());
  CHECK(seen.train.at(0).applied_before());
  CHECK(seen.train.at(0).outputs().empty());
  CHECK_FALSE(seen.train.at(1).skipped().empty());
  CHECK_FALSE(seen.train.at(1).applied_before());
  CHECK(cluster.Applied() == 2);
}

TEST_CASE("an iteration that a chunk has skipped is skipped wherever it is missing, though it is finite now") {
  SmallCluster cluster(Skips);
  SkipAtFirst(cluster, 0);
  cluster.coordinator().QueueTraining(0, 5);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen =
      cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 5 || !s.failures.empty(); });
  worker.Stop();
  INFO((seen.failures.empty() ? "" : seen.failures[0].message()));
  REQUIRE(seen.failures.empty());
  const std::string skipped = seen.train.at(0).skipped();
  CHECK_THAT(skipped, Catch::Contains("has skipped iteration 0"));
  CHECK(seen.train.at(0).outputs().empty());
  for (uint64_t t = 1; t < 5; ++t) CHECK(seen.train.at(t).skipped().empty());
  for (const int server : {0, 1}) {
    const v1::GetLedgersResponse ledgers = cluster.server(server).Ledgers("small");
    CHECK(ledgers.ledgers(0).ledger().watermark() == 5);
    CHECK(ledgers.counters().applied() + ledgers.counters().skipped() == 5);
    if (server == 0) CHECK(ledgers.counters().skipped() == 1);
    // The second server may have applied it before the worker knew.
    if (server == 1) CHECK(absl::StrContains(skipped, "1 of 2 chunks") == (ledgers.counters().skipped() == 0));
  }
}

}  // namespace
}  // namespace samovar
