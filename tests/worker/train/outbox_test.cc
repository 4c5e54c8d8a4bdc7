#include "worker/train/outbox.h"

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

TEST_CASE("an outbox that is not emptied keeps the newest results") {
  Outbox outbox;
  for (uint64_t t = 0; t < Outbox::kMaxResults + 10; ++t) outbox.Add(Iteration(t));
  const v1::WorkerReport report = outbox.Take();
  REQUIRE(report.train_size() == Outbox::kMaxResults);
  REQUIRE(report.train(0).iteration() == 10);
}

}  // namespace
}  // namespace samovar
