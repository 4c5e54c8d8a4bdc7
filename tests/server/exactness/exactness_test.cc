// The reasons for exactness, point by point, each where a reader can see it happen; the table is in README.md beside
// this file.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/parameters/parameter_client.h"
#include "common/rpc/dialer.h"
#include "server/leases/lease_table.h"
#include "tests/common/parameters/parameter_server.h"
#include "tests/server/exactness/ask_server.h"
#include "tests/server/exactness/wire_job.h"
#include "tests/server/leases/renew_all.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Far beyond what anything here takes.
WaitLimit Soon() { return {SteadyNow() + absl::Seconds(60), nullptr}; }

// Two servers of one job: chunks 0, 2 and 4 are at the first, 1 and 3 at the second.
struct Pair {
  explicit Pair(const v1::OpenJobRequest& job, absl::Duration hold = absl::Seconds(2))
      : first(dir.File("0"), job, 0, 0, hold), second(dir.File("1"), job, 1, 0, hold) {}

  ParameterServer& server_of(uint32_t chunk) { return chunk % 2 == 0 ? first : second; }

  std::unique_ptr<ParameterClient> MakeClient(uint64_t opening = 0) const {
    ParameterClient::Options options;
    options.job_id = "job";
    options.elements = kWireElements;
    options.chunk_elements = kWireChunkElements;
    options.servers = {first.address(), second.address()};
    options.opening = opening;
    auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
    REQUIRE_OK(client);
    return *std::move(client);
  }

  Weights Pull() const {
    Weights weights(kWireElements);
    REQUIRE_OK(MakeClient()->Pull(weights, Soon()));
    return weights;
  }

  TempDir dir;
  ParameterServer first;
  ParameterServer second;
};

// Pushes to all chunks at once; `weights` as in StartPush.
absl::StatusOr<ParameterClient::PushResult> Push(ParameterClient* client, uint64_t t, const Weights& gradient,
                                                 std::span<float> weights = {}, uint64_t epoch = 1) {
  client->StartPush(t, epoch, gradient, weights);
  client->Ready(0, kWireElements);
  return client->AwaitPush(Soon());
}

// A push to one chunk alone, as by a worker that does not live to send the others.
v1::ExchangeRequest PushTo(uint32_t chunk, uint64_t t, const Weights& gradient, uint32_t part = 0, uint64_t epoch = 1) {
  v1::ExchangeRequest request;
  request.set_job_id("job");
  request.set_epoch(epoch);
  request.set_iteration(t);
  request.set_part(part);
  v1::ChunkData* data = request.add_push();
  data->set_chunk(chunk);
  // Computed from the newest weights, whatever they are: never late.
  data->set_version(UINT64_MAX);
  data->set_payload(gradient.data() + WireBegin(chunk), (WireEnd(chunk) - WireBegin(chunk)) * sizeof(float));
  return request;
}

void CheckHolds(const Weights& weights, const std::vector<uint64_t>& iterations, uint32_t parts = 0) {
  for (uint32_t chunk = 0; chunk < kWireChunks; ++chunk) {
    for (uint64_t t = 0; t < kWireIterations; ++t) {
      INFO("chunk " << chunk << ", iteration " << t);
      const bool held = std::find(iterations.begin(), iterations.end(), t) != iterations.end();
      CHECK(EvidenceIs(weights, chunk, t, parts, held));
    }
  }
}

TEST_CASE(
    "exactness 1: what a lost worker began is computed again from other weights and applied where it is missing "
    "alone") {
  Pair servers(MakeWireJob(2, 0, "SGD"));
  const Weights initial = servers.Pull();
  // The worker is lost when two chunks of the first server have its iteration 0.
  for (uint32_t chunk : {0, 4})
    CHECK(AskServerOk(servers.first.address(), PushTo(chunk, 0, WireGradient(0, 0, initial))).applied() == 1);

  const auto client = servers.MakeClient();
  Weights weights(kWireElements);
  REQUIRE_OK(client->Pull(weights, Soon()));
  REQUIRE_OK(Push(client.get(), 1, WireGradient(1, 0, weights), weights));
  const Weights again = WireGradient(0, 0, weights);
  CHECK(again[WireBegin(0)] != WireGradient(0, 0, initial)[WireBegin(0)]);
  const auto result = Push(client.get(), 0, again);
  REQUIRE_OK(result);
  CHECK(result->applied == 3);
  CHECK(result->duplicates == 2);
  CheckHolds(servers.Pull(), {0, 1});
}

TEST_CASE("exactness 3: a repeated push is answered as success and with the weights of now") {
  Pair servers(MakeWireJob(2, 0, "SGD"));
  const auto client = servers.MakeClient();
  const Weights gradient = WireGradient(0, 0, servers.Pull());
  REQUIRE_OK(Push(client.get(), 0, gradient));
  REQUIRE_OK(Push(servers.MakeClient().get(), 1, WireGradient(1, 0, servers.Pull())));
  Weights weights(kWireElements, -1);
  const auto repeated = Push(client.get(), 0, gradient, weights);
  REQUIRE_OK(repeated);
  CHECK(repeated->applied == 0);
  CHECK(repeated->duplicates == kWireChunks);
  CheckHolds(weights, {0, 1});
  CHECK(weights == servers.Pull());
}

TEST_CASE("exactness 4: an iteration waits for each of its parts however often one of them comes") {
  constexpr uint32_t kParts = 3;
  Pair servers(MakeWireJob(2, kParts, "SGD"), absl::Milliseconds(1));
  const Weights initial = servers.Pull();
  v1::ExchangeRequest pull;
  pull.set_job_id("job");
  pull.add_pull(0);
  pull.set_waits(true);
  pull.set_watermark(1);
  // As many pushes as there are parts, and more.
  for (uint32_t part : {1, 1, 2, 1, 2, 2, 1})
    AskServerOk(servers.first.address(), PushTo(0, 0, WireGradient(0, part, initial), part));
  CHECK(servers.first.Ledgers("job").ledgers(0).ledger().watermark() == 0);
  CHECK(servers.first.Ledgers("job").counters().applied() == 2);
  CHECK(servers.first.Ledgers("job").counters().duplicates() == 5);
  CHECK(AskServerOk(servers.first.address(), pull).not_yet());

  CHECK(AskServerOk(servers.first.address(), PushTo(0, 0, WireGradient(0, 0, initial), 0)).applied() == 1);
  const v1::ExchangeResponse answer = AskServerOk(servers.first.address(), pull);
  REQUIRE(answer.weights_size() == 1);
  Weights weights(kWireElements);
  std::memcpy(weights.data(), answer.weights(0).payload().data(), answer.weights(0).payload().size());
  CHECK(EvidenceIs(weights, 0, 0, kParts, true));
  // It is over: whatever comes of it now is dropped.
  for (uint32_t part = 0; part < kParts; ++part) {
    CHECK(AskServerOk(servers.first.address(), PushTo(0, 0, WireGradient(0, part, initial), part)).duplicates() == 1);
  }
}

TEST_CASE("exactness 5: servers keep the highest epoch that they have seen and refuse pushes of older ones") {
  Pair servers(MakeWireJob(2, 0, "SGD"));
  const auto client = servers.MakeClient();
  const Weights gradient = WireGradient(0, 0, servers.Pull());
  // The first server alone hears of epoch 3.
  AskServerOk(servers.first.address(), PushTo(0, 0, gradient, 0, 3));
  CallAsCoordinator(servers.second.address(), "job", 2);
  const auto code = absl::StatusCode::kFailedPrecondition;
  REQUIRE_STATUS(Push(client.get(), 1, gradient, {}, 2), code, "epoch 2 is older than 3");
  REQUIRE_STATUS(AskServerForError(servers.first.address(), PushTo(2, 0, gradient, 0, 2)), code,
                 "epoch 2 is older than 3");
  // Not even an iteration that the ledger holds already: the worker must learn that it has no lease any more.
  REQUIRE_STATUS(AskServerForError(servers.first.address(), PushTo(0, 0, gradient, 0, 2)), code,
                 "epoch 2 is older than 3");
  const v1::GetLedgersResponse ledgers = servers.first.Ledgers("job");
  CHECK(ledgers.counters().applied() == 1);
  for (const uint64_t epoch : {3, 4}) {
    for (const std::string& address : {servers.first.address(), servers.second.address()})
      CallAsCoordinator(address, "job", epoch);
    REQUIRE_OK(Push(client.get(), epoch - 3, gradient, {}, epoch));
  }
  REQUIRE_STATUS(Push(client.get(), 2, gradient, {}, 3), code, "epoch 3 is older than 4");
}

TEST_CASE("exactness 5: a push from before the servers went back is refused in the same epoch") {
  v1::OpenJobRequest job = MakeWireJob(2, 1, "SGD");
  job.set_opening(1);
  v1::ExchangeRequest late;
  {
    Pair servers(job);
    REQUIRE_OK(Push(servers.MakeClient(1).get(), 0, WireGradient(0, 0, servers.Pull())));
    late = PushTo(0, 1, WireGradient(1, 0, servers.Pull()));
    late.set_opening(1);
  }
  // They begin again, and are one iteration further when the push arrives at last: chunk 0 would have iteration 1 from
  // weights that are no more, and no weights left to compute it from.
  job.set_opening(2);
  Pair servers(job);
  const auto client = servers.MakeClient(2);
  REQUIRE_OK(Push(client.get(), 0, WireGradient(0, 0, servers.Pull())));
  REQUIRE_STATUS(AskServerForError(servers.first.address(), late), absl::StatusCode::kFailedPrecondition,
                 "is of opening 1");
  CheckHolds(servers.Pull(), {0});
  REQUIRE_OK(Push(client.get(), 1, WireGradient(1, 0, servers.Pull())));
  CheckHolds(servers.Pull(), {0, 1});
}

TEST_CASE("exactness 6: no iteration is leased beyond the window so that ledgers stay small whatever is lost") {
  LeaseTable::Options options;
  options.max_iter = 2000;
  options.window = 32;
  // Workers push what they hold in any order, and lose some of it; the table is told of what was pushed.
  for (uint64_t seed = 0; seed < 20; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    LeaseTable table(options, Ledger());
    Ledger chunk;
    absl::Time now = absl::UnixEpoch();
    size_t most_ranges = 0;
    while (!table.complete()) {
      const uint64_t worker = 1 + random() % 6;
      now += absl::Milliseconds(50);
      const auto lease = table.Acquire(worker, 6, now);
      if (random() % 4 == 0) table.ReleaseWorker(worker);
      // The others are alive, but slow.
      for (uint64_t other = 1; other <= 6; ++other) RenewAll(&table, other, now);
      if (!lease.has_value()) {
        table.ReleaseWorker(worker);
        continue;
      }
      for (uint64_t t = lease->range.begin; t < lease->range.end; ++t) {
        REQUIRE(t < table.done().watermark() + options.window);
        if (random() % 3 == 0) continue;
        chunk.Add(t);
        table.Complete(worker, t, 0, now);
      }
      most_ranges = std::max(most_ranges, chunk.beyond_ranges());
    }
    CHECK(chunk.watermark() == options.max_iter);
    CHECK(most_ranges > 2);
    CHECK(most_ranges <= options.window / 2);
  }
  CHECK(LeaseTable::Options().window == 1024);
}

TEST_CASE(
    "exactness 8: an iteration has its own rate in whatever order iterations come and wherever a server was restored") {
  v1::OpenJobRequest job = MakeWireJob(2, 0, "SGD");
  job.mutable_solver()->set_momentum(0);
  job.mutable_solver()->set_weight_decay(0);
  job.mutable_solver()->set_base_lr(0.5f);
  // 2^-1, 2^-2, ...: with a gradient of 1 each iteration sets a bit of its own, and all arithmetic is exact.
  job.mutable_solver()->set_lr_policy("step");
  job.mutable_solver()->set_gamma(0.5f);
  job.mutable_solver()->set_stepsize(1);
  job.mutable_layout()->mutable_blobs(0)->mutable_filler()->set_type("constant");
  TempDir dir;
  const Weights ones(kWireElements, 1);
  auto first = std::make_unique<ParameterServer>(dir.File("0"), job, 0);
  for (uint64_t t : {5, 0}) AskServerOk(first->address(), PushTo(0, t, ones));
  first->Freeze("job", 5);
  first->Persist("job", 5);
  // Lost with the server, and pushed again to the next.
  AskServerOk(first->address(), PushTo(0, 7, ones));
  first.reset();
  job.set_restore(true);
  job.set_restore_iteration(5);
  first = std::make_unique<ParameterServer>(dir.File("0"), job, 0);
  for (uint64_t t : {2, 7}) AskServerOk(first->address(), PushTo(0, t, ones));
  v1::ExchangeRequest pull;
  pull.set_job_id("job");
  pull.add_pull(0);
  const v1::ExchangeResponse answer = AskServerOk(first->address(), pull);
  float weight = 0;
  std::memcpy(&weight, answer.weights(0).payload().data(), sizeof(weight));
  CHECK(weight == -(1.0f / 2 + 1.0f / 8 + 1.0f / 64 + 1.0f / 256));
}

TEST_CASE("exactness 8: Adam corrects its first update by the iteration's index and not by their number") {
  v1::OpenJobRequest job = MakeWireJob(2, 0, "Adam");
  job.mutable_solver()->set_weight_decay(0);
  job.mutable_solver()->set_lr_policy("fixed");
  job.mutable_layout()->mutable_blobs(0)->mutable_filler()->set_type("constant");
  Pair servers(job);
  const Weights ones(kWireElements, 1);
  AskServerOk(servers.first.address(), PushTo(0, 6, ones));
  // m = 0.1, v = 0.001; corrected for s = t + 1 = 7.
  const double correction = std::sqrt(1 - std::pow(0.999, 7)) / (1 - std::pow(0.9, 7));
  CHECK(servers.Pull()[0] == Approx(-0.03 * correction * 0.1 / std::sqrt(0.001)).epsilon(1e-4));
}

}  // namespace
}  // namespace samovar
