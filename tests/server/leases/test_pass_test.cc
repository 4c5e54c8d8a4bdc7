#include "server/leases/test_pass.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

constexpr uint32_t kBatch = 100;

v1::NetOutputs Accuracy() {
  v1::NetOutputs outputs;
  outputs.add_outputs()->set_name("accuracy");
  return outputs;
}

v1::TestResult ResultOf(const v1::TestSlice& slice, double mean) {
  v1::TestResult result;
  result.set_frozen_iteration(slice.frozen_iteration());
  result.set_net(slice.net());
  result.set_begin(slice.begin());
  result.set_end(slice.end());
  result.add_sums(mean * static_cast<double>(slice.end() - slice.begin()));
  return result;
}

TEST_CASE("a test set of any size has a bounded number of slices") {
  for (const uint64_t records : {UINT64_MAX, UINT64_MAX - 1, uint64_t{1} << 63, uint64_t{1} << 40}) {
    for (const uint64_t workers : {uint64_t{0}, uint64_t{1}, UINT64_MAX}) {
      TestPass pass(500, 0, {0, records}, /*batch_size=*/2, Accuracy(), workers);
      uint64_t slices = 0;
      uint64_t next = 0;
      while (const auto slice = pass.Acquire(++slices, 7, At(0))) {
        CHECK(slice->begin() == next);
        next = slice->end();
        if (slices > 40) break;
      }
      CHECK(next > 0);
      if (workers < 2) CHECK(next == records);
    }
  }
}

TEST_CASE("slices are all records once, and the mean weighs a short one by its records") {
  TestPass pass(500, 0, {0, 1050}, kBatch, Accuracy(), 2);
  uint64_t next = 0;
  uint64_t lease = 1;
  std::vector<v1::TestSlice> slices;
  while (const auto slice = pass.Acquire(lease++, 7, At(0))) {
    CHECK(slice->begin() == next);
    next = slice->end();
    slices.push_back(*slice);
  }
  CHECK(next == 1050);
  for (const v1::TestSlice& slice : slices) {
    CHECK_FALSE(pass.complete());
    CHECK(pass.Complete(ResultOf(slice, slice.end() == 1050 ? 1.0 : 0.0), At(0)));
    CHECK_FALSE(pass.Complete(ResultOf(slice, 1.0), At(0)));
  }
  REQUIRE(pass.complete());
  const v1::TestReport report = pass.Report();
  CHECK(report.records() == 1050);
  CHECK(report.iteration() == 500);
  CHECK(report.outputs(0).name() == "accuracy");
  CHECK(report.outputs(0).value() == Approx(50.0 / 1050));
}

TEST_CASE("a slice that is not tested in time goes to another worker") {
  TestPass pass(0, 0, {0, 100}, kBatch, Accuracy(), 1);
  const auto slice = pass.Acquire(1, 7, At(0));
  REQUIRE(slice.has_value());
  CHECK_FALSE(pass.Acquire(2, 8, At(1)).has_value());
  pass.Renew(7, 1, At(5));
  CHECK(pass.Expire(absl::Seconds(6), At(10)) == 0);
  CHECK(pass.Expire(absl::Seconds(6), At(12)) == 1);
  CHECK_FALSE(pass.Holds(7, 1));
  REQUIRE(pass.Acquire(2, 8, At(12)).has_value());
  // The first worker's late result is as good.
  CHECK(pass.Complete(ResultOf(*slice, 0.5), At(13)));
  CHECK(pass.complete());
}

TEST_CASE("results that do not belong to the pass change nothing") {
  TestPass pass(500, 1, {0, 100}, kBatch, Accuracy(), 1);
  const auto slice = pass.Acquire(1, 7, At(0));
  v1::TestResult wrong = ResultOf(*slice, 1);
  wrong.set_net(0);
  CHECK_FALSE(pass.Complete(wrong, At(1)));
  wrong = ResultOf(*slice, 1);
  wrong.set_frozen_iteration(400);
  CHECK_FALSE(pass.Complete(wrong, At(1)));
  wrong = ResultOf(*slice, 1);
  wrong.add_sums(1);
  CHECK_FALSE(pass.Complete(wrong, At(1)));
  wrong = ResultOf(*slice, 1);
  wrong.set_end(99);
  CHECK_FALSE(pass.Complete(wrong, At(1)));
  CHECK_FALSE(pass.complete());
}

TEST_CASE("a slice whose tester is late goes to another when no other is left, and the first result counts") {
  TestPass pass(0, 0, {0, 400}, kBatch, Accuracy(), 1);
  std::vector<v1::TestSlice> slices;
  for (uint64_t lease = 1; lease <= 3; ++lease) {
    slices.push_back(*pass.Acquire(lease, 7, At(0)));
    CHECK(pass.Complete(ResultOf(slices.back(), 0.5), At(2)));
  }
  const auto late = pass.Acquire(4, 7, At(2));
  pass.Renew(7, 4, At(5));
  CHECK_FALSE(pass.Acquire(5, 8, At(5.9)).has_value());
  CHECK_FALSE(pass.Acquire(5, 7, At(6.5)).has_value());
  const auto again = pass.Acquire(5, 8, At(6.5));
  REQUIRE(again.has_value());
  CHECK(again->begin() == late->begin());
  CHECK(pass.Holds(8, 5));
  CHECK_FALSE(pass.Holds(7, 4));
  CHECK(pass.speculative() == 1);
  v1::TestResult result = ResultOf(*late, 0.5);
  SECTION("the second is first") { result.set_lease_id(5); }
  SECTION("the first is first") { result.set_lease_id(4); }
  CHECK(pass.Complete(result, At(7)));
  CHECK(pass.complete());
  CHECK(pass.speculative_wasted() == (result.lease_id() == 4 ? 1 : 0));
  CHECK_FALSE(pass.Complete(result, At(8)));
}

}  // namespace
}  // namespace samovar
