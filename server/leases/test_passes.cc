#include "server/leases/test_passes.h"

#include <algorithm>

#include "common/model/test_plan.h"

namespace samovar {

void TestPasses::Begin(const v1::JobSpec& spec, uint64_t iteration, uint64_t workers) {
  iteration_ = iteration;
  for (int net = 0; net < spec.test_nets_size(); ++net) {
    passes_.emplace_back(iteration, static_cast<uint32_t>(net), RecordsOfTest(spec, net, iteration),
                         spec.test_data(net).batch_size(), spec.test_outputs(net), workers);
  }
}

bool TestPasses::complete() const {
  return std::all_of(passes_.begin(), passes_.end(), [](const TestPass& pass) { return pass.complete(); });
}

void TestPasses::End() {
  speculative_ = speculative();
  speculative_wasted_ = speculative_wasted();
  passes_.clear();
}

std::optional<uint64_t> TestPasses::Drop() {
  const bool tested = complete();
  passes_.clear();
  return tested ? std::nullopt : std::optional(iteration_);
}

std::optional<TestPasses::Lease> TestPasses::Acquire(uint64_t worker, absl::Time now) {
  for (TestPass& pass : passes_) {
    if (auto slice = pass.Acquire(next_lease_, worker, now)) return Lease{next_lease_++, *std::move(slice)};
  }
  return std::nullopt;
}

void TestPasses::Renew(uint64_t worker, uint64_t lease, absl::Time now) {
  for (TestPass& pass : passes_) pass.Renew(worker, lease, now);
}

TestPasses::News TestPasses::Complete(const v1::TestResult& result, absl::Time now) {
  for (TestPass& pass : passes_) {
    if (!pass.Complete(result, now)) continue;
    return {true, pass.complete() ? std::optional(pass.Report()) : std::nullopt};
  }
  return {};
}

void TestPasses::Release(uint64_t lease) {
  for (TestPass& pass : passes_) releases_ += static_cast<uint64_t>(pass.Release(lease));
}

void TestPasses::ReleaseWorker(uint64_t worker) {
  for (TestPass& pass : passes_) releases_ += static_cast<uint64_t>(pass.ReleaseWorker(worker));
}

void TestPasses::ReleaseAll() {
  for (TestPass& pass : passes_) releases_ += static_cast<uint64_t>(pass.ReleaseAll());
}

void TestPasses::Expire(absl::Duration term, absl::Time now) {
  for (TestPass& pass : passes_) releases_ += static_cast<uint64_t>(pass.Expire(term, now));
}

bool TestPasses::Holds(uint64_t worker, uint64_t lease) const {
  return std::any_of(passes_.begin(), passes_.end(), [&](const TestPass& pass) { return pass.Holds(worker, lease); });
}

std::vector<v1::TestSlice> TestPasses::SlicesOf(uint64_t worker) const {
  std::vector<v1::TestSlice> slices;
  for (const TestPass& pass : passes_) {
    for (v1::TestSlice& slice : pass.SlicesOf(worker)) slices.push_back(std::move(slice));
  }
  return slices;
}

std::vector<std::pair<uint64_t, v1::TestSlice>> TestPasses::LeasedSlices() const {
  std::vector<std::pair<uint64_t, v1::TestSlice>> slices;
  for (const TestPass& pass : passes_) {
    for (auto& slice : pass.LeasedSlices()) slices.push_back(std::move(slice));
  }
  return slices;
}

uint64_t TestPasses::speculative() const {
  uint64_t sum = speculative_;
  for (const TestPass& pass : passes_) sum += pass.speculative();
  return sum;
}

uint64_t TestPasses::speculative_wasted() const {
  uint64_t sum = speculative_wasted_;
  for (const TestPass& pass : passes_) sum += pass.speculative_wasted();
  return sum;
}

}  // namespace samovar
