#include "server/leases/test_passes.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint64_t kLastLease = 70;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

// Two test nets, of 100 and 200 records.
v1::JobSpec TwoNets() {
  v1::JobSpec spec;
  for (uint64_t records : {100, 200}) {
    spec.add_test_nets();
    spec.add_test_data()->set_records(records);
    spec.mutable_test_data()->rbegin()->set_batch_size(100);
    spec.add_test_outputs()->add_outputs()->set_name("accuracy");
  }
  return spec;
}

v1::TestResult ResultOf(const v1::TestSlice& slice) {
  v1::TestResult result;
  result.set_frozen_iteration(slice.frozen_iteration());
  result.set_net(slice.net());
  result.set_begin(slice.begin());
  result.set_end(slice.end());
  result.add_sums(static_cast<double>(slice.end() - slice.begin()) / 2);
  return result;
}

std::vector<TestPasses::Lease> AcquireAll(TestPasses* passes, uint64_t worker) {
  std::vector<TestPasses::Lease> leases;
  while (auto lease = passes->Acquire(worker, At(0))) leases.push_back(*std::move(lease));
  return leases;
}

}  // namespace

TEST_CASE("the tests of a checkpoint are complete when each net has its report") {
  const v1::JobSpec spec = TwoNets();
  TestPasses passes(kLastLease);
  CHECK(passes.complete());
  passes.Begin(spec, 500, /*workers=*/1);
  const std::vector<TestPasses::Lease> leases = AcquireAll(&passes, 7);
  CHECK(leases.front().id == kLastLease + 1);
  CHECK(passes.next_lease() == kLastLease + 1 + leases.size());
  CHECK(passes.SlicesOf(7).size() == leases.size());
  CHECK(passes.LeasedSlices().size() == leases.size());
  CHECK(passes.LeasedSlices().front().first == 7);
  std::vector<uint32_t> reported;
  for (const TestPasses::Lease& lease : leases) {
    CHECK_FALSE(passes.complete());
    const TestPasses::News news = passes.Complete(ResultOf(lease.slice), At(1));
    CHECK(news.taken);
    CHECK_FALSE(passes.Complete(ResultOf(lease.slice), At(1)).taken);
    if (news.report.has_value()) {
      CHECK(news.report->outputs(0).value() == 0.5);
      reported.push_back(news.report->net());
    }
  }
  CHECK(reported == std::vector<uint32_t>{0, 1});
  CHECK(passes.complete());
  CHECK_FALSE(passes.Drop().has_value());
}

TEST_CASE("slices that are given back are counted, and others get them") {
  const v1::JobSpec spec = TwoNets();
  TestPasses passes(kLastLease);
  passes.Begin(spec, 500, /*workers=*/1);
  const size_t slices = AcquireAll(&passes, 7).size();
  CHECK(passes.Holds(7, kLastLease + 1));
  passes.ReleaseWorker(7);
  CHECK(passes.releases() == slices);
  CHECK_FALSE(passes.Holds(7, kLastLease + 1));
  CHECK(AcquireAll(&passes, 8).size() == slices);
  passes.Renew(8, kLastLease + 1 + slices, At(9));
  passes.Expire(absl::Seconds(10), At(11));
  CHECK(passes.releases() == 2 * slices - 1);
}

TEST_CASE("tests that are dropped before they have results name their iteration") {
  const v1::JobSpec spec = TwoNets();
  TestPasses passes(kLastLease);
  passes.Begin(spec, 500, /*workers=*/1);
  CHECK(passes.Drop() == 500);
  CHECK(passes.complete());
  CHECK_FALSE(passes.Acquire(7, At(0)).has_value());
}

}  // namespace samovar
