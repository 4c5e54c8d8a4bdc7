#include "worker/train/outbox.h"

#include <utility>

#include "tests/support/catch.h"

namespace samovar {
namespace {

v1::TrainResult Iteration(uint64_t t) {
  v1::TrainResult result;
  result.set_iteration(t);
  return result;
}

TEST_CASE("what was taken is not taken again") {
  Outbox outbox;
  outbox.Add(Iteration(1));
  outbox.Add(v1::TestResult());
  outbox.Add(v1::WorkFailure());
  const v1::WorkerReport report = outbox.Take();
  REQUIRE(report.train_size() == 1);
  REQUIRE(report.test_size() == 1);
  REQUIRE(report.failures_size() == 1);
  REQUIRE(outbox.Take().ByteSizeLong() == 0);
}

TEST_CASE("what did not arrive goes before what came since") {
  Outbox outbox;
  outbox.Add(Iteration(1));
  v1::WorkerReport report = outbox.Take();
  outbox.Add(Iteration(2));
  outbox.PutBack(std::move(report));
  const v1::WorkerReport all = outbox.Take();
  REQUIRE(all.train_size() == 2);
  REQUIRE(all.train(0).iteration() == 1);
  REQUIRE(all.train(1).iteration() == 2);
}

TEST_CASE("what one coordinator leased does not come to the next one, though it was on its way meanwhile") {
  Outbox outbox;
  outbox.Begin(4);
  outbox.Add(Iteration(1));
  v1::WorkerReport on_its_way = outbox.Take();
  CHECK(on_its_way.epoch() == 4);
  outbox.Add(Iteration(2));
  outbox.Begin(5);
  outbox.Add(Iteration(3));
  outbox.PutBack(std::move(on_its_way));
  // Joining the same coordinator once more drops nothing.
  outbox.Begin(5);
  const v1::WorkerReport report = outbox.Take();
  CHECK(report.epoch() == 5);
  REQUIRE(report.train_size() == 1);
  CHECK(report.train(0).iteration() == 3);
}

TEST_CASE("an outbox that is not emptied keeps the newest results") {
  Outbox outbox;
  for (uint64_t t = 0; t < Outbox::kMaxResults + 10; ++t) outbox.Add(Iteration(t));
  const v1::WorkerReport report = outbox.Take();
  REQUIRE(report.train_size() == Outbox::kMaxResults);
  REQUIRE(report.train(0).iteration() == 10);
}

TEST_CASE("a report holds what fits into a request, oldest first, and a failure after the results before it") {
  constexpr int kValues = 100'000;
  constexpr int kResults = 25;
  Outbox outbox;
  for (uint64_t t = 0; t < kResults; ++t) {
    v1::TrainResult result = Iteration(t);
    result.mutable_outputs()->Resize(kValues, 0.5f);
    outbox.Add(std::move(result));
  }
  outbox.Add(v1::WorkFailure());
  uint64_t next = 0;
  const auto take = [&] {
    const v1::WorkerReport report = outbox.Take();
    CHECK(report.ByteSizeLong() <= Outbox::kMaxReportBytes + 100);
    for (const v1::TrainResult& result : report.train()) CHECK(result.iteration() == next++);
    return report.failures_size();
  };
  REQUIRE(outbox.Overfull());
  CHECK(take() == 0);
  CHECK(next == 10);
  REQUIRE(outbox.Overfull());
  CHECK(take() == 0);
  CHECK(next == 20);
  CHECK_FALSE(outbox.Overfull());
  CHECK(take() == 1);
  CHECK(next == kResults);
}

TEST_CASE("a result that is larger than a report goes alone") {
  Outbox outbox;
  for (uint64_t t = 0; t < 2; ++t) {
    v1::TrainResult result = Iteration(t);
    result.mutable_outputs()->Resize(Outbox::kMaxReportBytes / sizeof(float), 0.5f);
    outbox.Add(std::move(result));
  }
  for (uint64_t t = 0; t < 2; ++t) {
    const v1::WorkerReport report = outbox.Take();
    REQUIRE(report.train_size() == 1);
    CHECK(report.train(0).iteration() == t);
  }
}

}  // namespace
}  // namespace samovar
