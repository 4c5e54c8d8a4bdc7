#include "worker/train/worker.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/worker/train/small_cluster.h"
#include "worker/train/fed_net.h"

namespace samovar {
namespace {

using Seen = FakeCoordinator::Seen;

TEST_CASE("a worker trains what it leases, reports each iteration, and the loss falls") {
  SmallCluster cluster;
  cluster.coordinator().QueueTraining(0, 1);
  cluster.coordinator().QueueTraining(1, 50);
  cluster.coordinator().QueueTraining(50, 200);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 200; });
  REQUIRE(seen.failures.empty());
  REQUIRE(cluster.Applied() == 200 * kChunks);
  REQUIRE(seen.train.at(0).loss() > 1.0f);
  REQUIRE(seen.train.at(199).loss() < 0.5f * seen.train.at(0).loss());
  REQUIRE(seen.train.at(0).outputs_size() == 1);
  REQUIRE(seen.train.at(0).outputs(0) == seen.train.at(0).loss());
  REQUIRE(seen.train.at(0).lease_id() == 1);
  REQUIRE(seen.train.at(199).lease_id() == 3);
}

TEST_CASE("a worker that finds no memory on its way goes on, and trains") {
  SmallCluster cluster;
  cluster.coordinator().QueueTraining(0, 5);
  // The program's own step in a turn of the worker's.
  RunningWorker worker(cluster.coordinator().address(), [] { throw std::bad_alloc(); });
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 5; });
  CHECK(seen.failures.empty());
}

TEST_CASE("a damaged record ends the job at once, and the report names the data set and the key") {
  SmallCluster cluster;
  const std::string path = cluster.spec().train_data().uri();
  {
    auto environment = LmdbEnvironment::Open(path, {});
    REQUIRE_OK(environment);
    REQUIRE_OK(
        (*environment)->Write([](LmdbTransaction& transaction) { return transaction.Put("00000050", "rubbish"); }));
  }
  // An epoch is nine and a half batches.
  cluster.coordinator().QueueTraining(0, 20);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  CHECK(seen.failures[0].permanent());
  CHECK(absl::StrContains(seen.failures[0].message(), absl::StrCat(path, ", key \"00000050\": not a Datum of Caffe")));
}

TEST_CASE("a damaged test record ends the job at once, too") {
  SmallCluster cluster;
  const std::string path = cluster.spec().test_data(0).uri();
  {
    auto environment = LmdbEnvironment::Open(path, {});
    REQUIRE_OK(environment);
    REQUIRE_OK(
        (*environment)->Write([](LmdbTransaction& transaction) { return transaction.Put("00000020", "rubbish"); }));
  }
  for (int i = 0; i < 2; ++i) cluster.server(i).Freeze("small", 0, FakeCoordinator::kEpoch);
  cluster.coordinator().QueueTest(0, 0, kTestRecords);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  CHECK(seen.failures[0].permanent());
  CHECK(absl::StrContains(seen.failures[0].message(), absl::StrCat(path, ", key \"00000020\": not a Datum of Caffe")));
}

void KeepMost(v1::JobSpec* spec) {
  spec->mutable_consistency()->set_encoding(v1::ENCODING_SPARSE);
  spec->mutable_consistency()->set_topk_ratio(0.01);
}

TEST_CASE("of the largest hundredth of each gradient alone the loss falls too, and at the end nothing is kept") {
  SmallCluster cluster([](v1::JobSpec* spec) {
    KeepMost(spec);
    spec->mutable_solver()->set_max_iter(300);
  });
  cluster.coordinator().QueueTraining(0, 100);
  cluster.coordinator().QueueTraining(100, 300);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 300; });
  REQUIRE(seen.failures.empty());
  CHECK(cluster.Applied() == 300 * kChunks);
  CHECK(seen.train.at(299).loss() < 0.5f * seen.train.at(0).loss());
  CHECK(seen.train.at(99).residual_norm() > 0);
  CHECK(seen.train.at(298).residual_norm() > 0);
  CHECK(seen.train.at(299).residual_norm() == 0);
}

TEST_CASE("a worker that is stopped gives away what it has kept of its gradients") {
  SmallCluster cluster([](v1::JobSpec* spec) {
    KeepMost(spec);
    spec->mutable_solver()->set_max_iter(10'000'000);
  });
  cluster.coordinator().QueueTraining(0, 10'000'000);
  RunningWorker worker(cluster.coordinator().address());
  cluster.coordinator().Await([](const Seen& s) { return s.train.size() >= 20; });
  worker.Stop();
  const Seen seen = cluster.coordinator().Await([](const Seen&) { return true; });
  const auto& [last, result] = *seen.train.rbegin();
  CHECK(result.residual_norm() == 0);
  CHECK(seen.train.at(last - 1).residual_norm() > 0);
  CHECK(cluster.Applied() == seen.train.size() * kChunks);
}

TEST_CASE("one worker computes what a program without servers would") {
  SmallCluster cluster;
  std::vector<float> expected = cluster.Weights();
  cluster.coordinator().QueueTraining(0, 5);
  cluster.coordinator().QueueTraining(5, 12);
  RunningWorker worker(cluster.coordinator().address());
  cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 12; });
  worker.Stop();

  const v1::JobSpec& spec = cluster.spec();
  auto local =
      OpenFedNet(spec.train_net(), caffe::TRAIN, spec.train_data(), spec.train_outputs(), spec.seed(), NetMeans());
  REQUIRE_OK(local);
  Net& net = *local->net;
  for (uint64_t t = 0; t < 12; ++t) {
    std::copy(expected.begin(), expected.end(), net.weights().begin());
    REQUIRE_OK(local->feed->FillIteration(t, 0, TopsOf(net, spec.train_data())));
    REQUIRE_OK(net.Forward(t, spec.seed()));
    REQUIRE_OK(net.Backward([](uint64_t, uint64_t) {}));
    for (size_t i = 0; i < expected.size(); ++i) expected[i] -= spec.solver().base_lr() * net.gradients()[i];
  }
  const std::vector<float> trained = cluster.Weights();
  float largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) largest = std::max(largest, std::abs(trained[i] - expected[i]));
  // Roundings of the update alone; a gradient of other weights would differ by a hundred times more.
  REQUIRE(largest < 1e-6f);
}

TEST_CASE("a worker computes its parts of a batch with the records and random numbers of the whole batch") {
  for (const int passes : {1, 2}) {
    SmallCluster cluster([passes](v1::JobSpec* spec) { InParts(spec, passes); });
    std::vector<float> expected = cluster.Weights();
    cluster.coordinator().QueueParts(0, 1, {0, 1, 2, 3, 4});
    RunningWorker worker(cluster.coordinator().address());
    const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.parts.size() == 5; });
    worker.Stop();

    const v1::JobSpec& spec = cluster.spec();
    auto local = OpenFedNet(spec.train_net(), caffe::TRAIN, spec.train_data(), spec.train_outputs(), spec.seed(),
                            NetMeans(), static_cast<uint32_t>(passes));
    REQUIRE_OK(local);
    Net& net = *local->net;
    std::copy(expected.begin(), expected.end(), net.weights().begin());
    std::vector<float> sum(kElements);
    float loss = 0;
    for (int pass = 0; pass < passes; ++pass) {
      REQUIRE_OK(local->feed->FillIteration(0, static_cast<uint32_t>(pass), TopsOf(net, spec.train_data())));
      REQUIRE_OK(net.Forward(0, spec.seed(), static_cast<uint64_t>(pass) * kBatch));
      REQUIRE_OK(net.Backward([](uint64_t, uint64_t) {}));
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += net.gradients()[i] / static_cast<float>(passes);
      loss += net.loss() / static_cast<float>(passes);
    }
    const std::vector<float> trained = cluster.Weights();
    float largest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(trained[i] - (expected[i] - spec.solver().base_lr() * sum[i])));
    }
    // Roundings alone: other records or other dropout masks would differ by a hundred times more.
    CHECK(largest < 1e-6f);
    float reported = 0;
    for (const auto& [id, result] : seen.parts) reported += result.loss() / 5;
    CHECK(std::abs(reported - loss) < 1e-5f);
  }
}

TEST_CASE("workers that share iterations in parts train what one trains alone, to the bit") {
  std::vector<std::vector<float>> trained;
  for (const size_t workers : {1, 2, 3}) {
    SmallCluster cluster([](v1::JobSpec* spec) { InParts(spec, 1); });
    const std::vector<std::vector<uint32_t>> shares = workers == 1 ? std::vector<std::vector<uint32_t>>{{0, 1, 2, 3, 4}}
                                                      : workers == 2
                                                          ? std::vector<std::vector<uint32_t>>{{0, 3}, {1, 2, 4}}
                                                          : std::vector<std::vector<uint32_t>>{{4}, {0, 1}, {2, 3}};
    for (const auto& [begin, end] : {std::pair(0, 7), std::pair(7, 20)}) {
      for (const std::vector<uint32_t>& share : shares) {
        cluster.coordinator().QueueParts(static_cast<uint64_t>(begin), static_cast<uint64_t>(end), share);
      }
    }
    std::vector<std::unique_ptr<RunningWorker>> running;
    for (size_t i = 0; i < workers; ++i)
      running.push_back(std::make_unique<RunningWorker>(cluster.coordinator().address()));
    const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.parts.size() == 100; });
    REQUIRE(seen.failures.empty());
    // Subtrees an iteration: that of all parts; each part, for no two of a share are halves of one; and three.
    REQUIRE(cluster.Applied() == (workers == 1 ? 1u : workers == 2 ? 5u : 3u) * 20 * kChunks);
    running.clear();
    trained.push_back(cluster.Weights());
  }
  CHECK(trained[0] == trained[1]);
  CHECK(trained[0] == trained[2]);
}

TEST_CASE("a part that the job does not have is a lease that no worker can do") {
  SmallCluster cluster([](v1::JobSpec* spec) { InParts(spec, 1); });
  cluster.coordinator().QueueParts(0, 1, {5});
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  CHECK(seen.failures[0].permanent());
  CHECK(seen.failures[0].message() == "the lease has part 5 in it, the job has 5");
}

TEST_CASE("gradients of iter_size batches are added, clipped by the norm of their sum, and divided") {
  for (const float limit : {-1.0f, 0.3f}) {
    SmallCluster cluster([limit](v1::JobSpec* spec) {
      spec->mutable_solver()->set_iter_size(3);
      spec->mutable_solver()->set_clip_gradients(limit);
    });
    std::vector<float> expected = cluster.Weights();
    cluster.coordinator().QueueTraining(0, 4);
    cluster.coordinator().QueueTraining(4, 6);
    RunningWorker worker(cluster.coordinator().address());
    const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 6; });
    worker.Stop();

    const v1::JobSpec& spec = cluster.spec();
    auto local =
        OpenFedNet(spec.train_net(), caffe::TRAIN, spec.train_data(), spec.train_outputs(), spec.seed(), NetMeans(), 3);
    REQUIRE_OK(local);
    Net& net = *local->net;
    for (uint64_t t = 0; t < 6; ++t) {
      std::copy(expected.begin(), expected.end(), net.weights().begin());
      std::vector<double> sum(kElements, 0.0);
      double loss = 0;
      for (uint32_t part = 0; part < 3; ++part) {
        REQUIRE_OK(local->feed->FillIteration(t, part, TopsOf(net, spec.train_data())));
        REQUIRE_OK(net.Forward(t, spec.seed(), part * kBatch));
        REQUIRE_OK(net.Backward([](uint64_t, uint64_t) {}));
        for (size_t i = 0; i < sum.size(); ++i) sum[i] += double{net.gradients()[i]};
        loss += double{net.loss()} / 3;
      }
      double norm = 0;
      for (const double gradient : sum) norm += gradient * gradient;
      norm = std::sqrt(norm);
      // Else the limit would not be tested.
      REQUIRE(norm > double{limit});
      const double scale = (limit < 0 ? 1.0 : double{limit} / norm) / 3;
      for (size_t i = 0; i < sum.size(); ++i)
        expected[i] -= spec.solver().base_lr() * static_cast<float>(scale * sum[i]);
      REQUIRE(std::abs(double{seen.train.at(t).loss()} - loss) < 1e-5);
    }
    const std::vector<float> trained = cluster.Weights();
    float largest = 0;
    for (size_t i = 0; i < expected.size(); ++i) largest = std::max(largest, std::abs(trained[i] - expected[i]));
    REQUIRE(largest < 1e-6f);
  }
}

TEST_CASE("two workers share a job, and each iteration is in every chunk once") {
  SmallCluster cluster;
  for (uint64_t t = 0; t < 60; t += 3) cluster.coordinator().QueueTraining(t, t + 3);
  // Twice, as behind a straggler.
  cluster.coordinator().QueueTraining(0, 10);
  RunningWorker first(cluster.coordinator().address());
  RunningWorker second(cluster.coordinator().address());
  cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 60 && s.leased.size() == 21; });
  first.Stop();
  second.Stop();
  REQUIRE(cluster.Applied() == 60 * kChunks);
  for (int i = 0; i < 2; ++i) REQUIRE(cluster.server(i).Ledgers("small").ledgers(0).ledger().watermark() == 60);
}

TEST_CASE("slices of a test are computed from the frozen weights, each record once") {
  SmallCluster cluster;
  cluster.server(0).Freeze("small", 0, FakeCoordinator::kEpoch);
  cluster.server(1).Freeze("small", 0, FakeCoordinator::kEpoch);
  const std::vector<float> frozen = cluster.Weights();
  cluster.coordinator().QueueTraining(0, 20);
  cluster.coordinator().QueueTest(0, 0, 15);
  cluster.coordinator().QueueTest(0, 15, kTestRecords);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.tests.size() == 2; });
  REQUIRE(seen.failures.empty());

  auto evaluator = Evaluator::Create(cluster.spec(), 0, NetMeans());
  REQUIRE_OK(evaluator);
  (*evaluator)->SetWeights(frozen);
  const auto expected = (*evaluator)->Sums(0, kTestRecords, 0, Stopper());
  REQUIRE_OK(expected);
  REQUIRE(seen.tests[0].begin() == 0);
  REQUIRE(seen.tests[1].end() == kTestRecords);
  REQUIRE(seen.tests[0].sums_size() == cluster.spec().test_outputs(0).outputs_size());
  for (int i = 0; i < seen.tests[0].sums_size(); ++i) {
    REQUIRE(seen.tests[0].sums(i) + seen.tests[1].sums(i) == Approx((*expected)[i]).epsilon(1e-5));
  }
}

TEST_CASE("a worker that the coordinator has forgotten joins again and goes on") {
  SmallCluster cluster;
  RunningWorker worker(cluster.coordinator().address());
  cluster.coordinator().Await([](const Seen& s) { return s.lease_calls > 0; });
  cluster.coordinator().ForgetWorkers();
  cluster.coordinator().Await([](const Seen& s) { return s.joins == 2; });
  cluster.coordinator().QueueTraining(0, 3);
  cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 3; });
}

TEST_CASE("a worker outlives its coordinator's absence, and reports afterwards what it did meanwhile") {
  SmallCluster cluster;
  RunningWorker worker(cluster.coordinator().address());
  cluster.coordinator().QueueTraining(0, 100);
  cluster.coordinator().Await([](const Seen& s) { return !s.train.empty(); });
  cluster.coordinator().Stop();
  cluster.coordinator().Start();
  cluster.coordinator().QueueTraining(100, 120);
  cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 120; });
}

TEST_CASE("a lease whose answer was lost on its way is given back") {
  SmallCluster cluster;
  cluster.coordinator().LoseNextLease();
  cluster.coordinator().QueueTraining(0, 3);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 3; });
  REQUIRE(seen.leaves == 1);
  REQUIRE(seen.joins == 2);
}

TEST_CASE("a worker that starts before its coordinator waits for it") {
  FakeCoordinator coordinator;
  const std::string address = coordinator.address();
  coordinator.Stop();
  int joined = 0;
  RunningWorker worker(address, [&joined] { ++joined; });
  coordinator.Start();
  coordinator.Await([](const Seen& s) { return s.lease_calls > 0; });
  worker.Stop();
  REQUIRE(joined == 1);
}

TEST_CASE("a revoked lease is dropped, even while its servers do not answer") {
  SmallCluster cluster;
  // Nobody listens there.
  cluster.coordinator().SetAssignment(cluster.spec(), {"127.0.0.1:1"}, kChunkElements);
  const uint64_t lease = cluster.coordinator().QueueTraining(0, 5);
  RunningWorker worker(cluster.coordinator().address());
  const Seen before = cluster.coordinator().Await([](const Seen& s) { return s.assignment_calls == 1; });
  cluster.coordinator().Revoke(lease);
  const Seen after = cluster.coordinator().Await([&](const Seen& s) { return s.lease_calls > before.lease_calls; });
  REQUIRE(after.train.empty());
  REQUIRE(after.failures.empty());
}

TEST_CASE("a worker that is stopped drops what it cannot finish, and leaves") {
  SmallCluster cluster;
  cluster.coordinator().SetAssignment(cluster.spec(), {"127.0.0.1:1"}, kChunkElements);
  cluster.coordinator().QueueTraining(0, 5);
  RunningWorker worker(cluster.coordinator().address());
  cluster.coordinator().Await([](const Seen& s) { return s.assignment_calls == 1; });
  worker.Stop();
  const Seen seen = cluster.coordinator().seen();
  REQUIRE(seen.leaves == 1);
  REQUIRE(seen.failures.empty());
}

TEST_CASE("a loss that is not finite is reported as what no worker can cure") {
  SmallCluster cluster([](v1::JobSpec* spec) { spec->mutable_solver()->set_base_lr(1e30f); });
  cluster.coordinator().QueueTraining(0, 20);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  REQUIRE(seen.failures[0].permanent());
  REQUIRE(seen.failures[0].code() == static_cast<int>(absl::StatusCode::kInvalidArgument));
  REQUIRE(seen.failures[0].lease_id() == 1);
  REQUIRE(absl::StrContains(seen.failures[0].message(), "iteration "));
  const bool named = absl::StrContains(seen.failures[0].message(), "the loss of layer \"loss\" (top \"loss\") is ") ||
                     absl::StrContains(seen.failures[0].message(), "the gradient of layer \"ip");
  INFO(seen.failures[0].message());
  REQUIRE(named);
}

TEST_CASE("a job whose net is another one here is refused, and the message says where they differ") {
  SmallCluster cluster;
  v1::JobSpec spec = cluster.spec();
  spec.mutable_layout()->mutable_blobs(2)->set_shape(0, 5);
  cluster.coordinator().SetAssignment(spec, cluster.addresses(), kChunkElements);
  cluster.coordinator().QueueTraining(0, 5);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  REQUIRE(seen.failures[0].permanent());
  REQUIRE(absl::StrContains(seen.failures[0].message(), "ip2[0] 4x100 at 6500 here, ip2[0] 5x100 at 6500 there"));
  REQUIRE(cluster.Applied() == 0);
}

TEST_CASE("a data set that is not here is this worker's trouble, and one that is not the job's is the job's end") {
  SmallCluster cluster;
  v1::JobSpec spec = cluster.spec();
  bool permanent = true;
  SECTION("not here") {
    spec.mutable_train_data()->set_uri(cluster.dir().File("nowhere"));
    permanent = false;
  }
  SECTION("fewer records") { spec.mutable_train_data()->set_records(kTrainRecords + 1); }
  SECTION("others of the same number and shape") { spec.mutable_train_data()->set_digest(std::string(64, '0')); }
  cluster.coordinator().SetAssignment(spec, cluster.addresses(), kChunkElements);
  cluster.coordinator().QueueTraining(0, 5);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  REQUIRE(seen.failures[0].permanent() == permanent);
  REQUIRE(absl::StrContains(seen.failures[0].message(), spec.train_data().uri()));
  REQUIRE(seen.train.empty());
}

TEST_CASE("a lease of an old epoch is given back") {
  SmallCluster cluster;
  // A younger coordinator has been here.
  cluster.server(0).Freeze("small", 0, FakeCoordinator::kEpoch + 1);
  cluster.coordinator().QueueTraining(0, 5);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  REQUIRE_FALSE(seen.failures[0].permanent());
  REQUIRE(absl::StrContains(seen.failures[0].message(), "epoch"));
  REQUIRE(seen.train.empty());
}

TEST_CASE(
    "a lease of an earlier opening is given back, and the next one is of the opening that the assignment names by "
    "then") {
  const bool skips = GENERATE(false, true);
  SmallCluster cluster([skips](v1::JobSpec* spec) {
    if (!skips) return;
    spec->mutable_consistency()->set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP);
    spec->mutable_train_net()->mutable_layer(0)->mutable_transform_param()->set_scale(1e38f);
  });
  cluster.OpenAgain(2);
  cluster.coordinator().SetAssignment(cluster.spec(), cluster.addresses(), kChunkElements, /*opening=*/1);
  cluster.coordinator().QueueTraining(0, 5);
  RunningWorker worker(cluster.coordinator().address());
  Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  REQUIRE_FALSE(seen.failures[0].permanent());
  REQUIRE_THAT(seen.failures[0].message(), Catch::Contains("is of opening 1"));
  REQUIRE(cluster.server(0).Ledgers("small").ledgers(0).ledger().watermark() == 0);

  cluster.coordinator().SetAssignment(cluster.spec(), cluster.addresses(), kChunkElements, /*opening=*/2);
  cluster.coordinator().QueueTraining(0, 5);
  seen = cluster.coordinator().Await([](const Seen& s) { return s.train.contains(4); });
  CHECK(seen.failures.size() == 1);
  CHECK(seen.train.at(0).skipped().empty() == !skips);
  for (int server : {0, 1}) CHECK(cluster.server(server).Ledgers("small").ledgers(0).ledger().watermark() == 5);
}

TEST_CASE("a lease of a job that has ended is dropped without a word") {
  FakeCoordinator coordinator;
  coordinator.QueueTraining(0, 5);
  RunningWorker worker(coordinator.address());
  const Seen seen = coordinator.Await([](const Seen& s) { return s.assignment_calls == 1 && s.lease_calls > 1; });
  REQUIRE(seen.failures.empty());
}

TEST_CASE("a lease without work, or of more records than there are, is refused") {
  SmallCluster cluster;
  cluster.server(0).Freeze("small", 0, FakeCoordinator::kEpoch);
  cluster.server(1).Freeze("small", 0, FakeCoordinator::kEpoch);
  std::string text;
  SECTION("no iterations") {
    cluster.coordinator().QueueTraining(5, 5);
    text = "no work in it";
  }
  SECTION("no records") {
    cluster.coordinator().QueueTest(0, 7, 7);
    text = "no work in it";
  }
  SECTION("more records than there are") {
    cluster.coordinator().QueueTest(0, 5, 5 + kTestRecords + 1);
    text = "34 records, but the test set has 33 records";
  }
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  REQUIRE(absl::StrContains(seen.failures[0].message(), text));
}

}  // namespace
}  // namespace samovar
