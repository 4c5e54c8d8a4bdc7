#include "server/leases/test_pass.h"

#include <algorithm>
#include <utility>

#include "server/leases/train_leases.h"

namespace samovar {
namespace {

// Enough that workers of different speeds finish together.
constexpr uint64_t kSlicesPerWorker = 4;
// More of them do not get smaller slices.
constexpr uint64_t kMaxWorkers = 4096;

}  // namespace

TestPass::TestPass(uint64_t frozen_iteration, uint32_t net, const TestedRange& range, uint32_t batch_size,
                   const v1::NetOutputs& outputs, uint64_t workers)
    : frozen_iteration_(frozen_iteration),
      net_(net),
      records_(range.count),
      outputs_(outputs),
      sums_(static_cast<size_t>(outputs.outputs_size())) {
  const uint64_t batches = range.count / batch_size + (range.count % batch_size != 0 ? 1 : 0);
  const uint64_t wanted = std::clamp<uint64_t>(workers, 1, kMaxWorkers) * kSlicesPerWorker;
  // Rounded down: at most twice as many slices as are wanted.
  const uint64_t step = std::max<uint64_t>(1, batches / wanted) * batch_size;
  for (uint64_t begin = range.first; begin < range.first + range.count;) {
    Slice slice;
    slice.begin = begin;
    slice.end = begin + std::min(step, range.first + range.count - begin);
    begin = slice.end;
    slices_.push_back(slice);
  }
  missing_ = slices_.size();
}

v1::TestSlice TestPass::MessageOf(const Slice& slice) const {
  v1::TestSlice message;
  message.set_frozen_iteration(frozen_iteration_);
  message.set_net(net_);
  message.set_begin(slice.begin);
  message.set_end(slice.end);
  return message;
}

std::optional<v1::TestSlice> TestPass::Acquire(uint64_t lease_id, uint64_t worker, absl::Time now) {
  for (Slice& slice : slices_) {
    if (!slice.done && slice.lease_id == 0) return Grant(&slice, lease_id, worker, now);
  }
  for (Slice& slice : slices_) {
    if (slice.done || slice.worker == worker || !Late(slice, now)) continue;
    slice.late_lease_id = slice.lease_id;
    ++speculative_;
    return Grant(&slice, lease_id, worker, now);
  }
  return std::nullopt;
}

bool TestPass::Late(const Slice& slice, absl::Time now) const {
  const TrainLeases::Options options;
  // Without anything to compare with, a lease's term is long for a slice.
  const bool known = longest_ > absl::ZeroDuration();
  return now - slice.granted > (known ? std::max(options.patience, kLateFactor * longest_) : options.term);
}

v1::TestSlice TestPass::Grant(Slice* slice, uint64_t lease_id, uint64_t worker, absl::Time now) const {
  slice->lease_id = lease_id;
  slice->worker = worker;
  slice->granted = now;
  slice->renewed = now;
  return MessageOf(*slice);
}

void TestPass::Renew(uint64_t worker, uint64_t lease_id, absl::Time now) {
  for (Slice& slice : slices_) {
    if (slice.lease_id != 0 && slice.lease_id == lease_id && slice.worker == worker) slice.renewed = now;
  }
}

bool TestPass::Complete(const v1::TestResult& result, absl::Time now) {
  if (result.frozen_iteration() != frozen_iteration_ || result.net() != net_) return false;
  if (static_cast<size_t>(result.sums_size()) != sums_.size()) return false;
  for (Slice& slice : slices_) {
    if (slice.begin != result.begin() || slice.end != result.end()) continue;
    if (slice.done) return false;
    slice.done = true;
    if (slice.late_lease_id != 0 && result.lease_id() == slice.late_lease_id) {
      ++speculative_wasted_;
    } else if (slice.lease_id != 0) {
      longest_ = std::max(longest_, now - slice.granted);
    }
    slice.lease_id = 0;
    --missing_;
    for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += result.sums(static_cast<int>(i));
    return true;
  }
  return false;
}

int TestPass::Release(uint64_t lease_id) {
  int released = 0;
  for (Slice& slice : slices_) {
    if (slice.lease_id != lease_id || lease_id == 0) continue;
    slice.lease_id = 0;
    ++released;
  }
  return released;
}

int TestPass::ReleaseWorker(uint64_t worker) {
  int released = 0;
  for (Slice& slice : slices_) {
    if (slice.lease_id == 0 || slice.worker != worker) continue;
    slice.lease_id = 0;
    ++released;
  }
  return released;
}

int TestPass::ReleaseAll() {
  int released = 0;
  for (Slice& slice : slices_) released += std::exchange(slice.lease_id, 0) != 0 ? 1 : 0;
  return released;
}

int TestPass::Expire(absl::Duration term, absl::Time now) {
  int released = 0;
  for (Slice& slice : slices_) {
    if (slice.lease_id == 0 || now - slice.renewed <= term) continue;
    slice.lease_id = 0;
    ++released;
  }
  return released;
}

std::vector<v1::TestSlice> TestPass::SlicesOf(uint64_t worker) const {
  std::vector<v1::TestSlice> result;
  for (const Slice& slice : slices_) {
    if (slice.lease_id != 0 && slice.worker == worker) result.push_back(MessageOf(slice));
  }
  return result;
}

std::vector<std::pair<uint64_t, v1::TestSlice>> TestPass::LeasedSlices() const {
  std::vector<std::pair<uint64_t, v1::TestSlice>> result;
  for (const Slice& slice : slices_) {
    if (slice.lease_id != 0) result.emplace_back(slice.worker, MessageOf(slice));
  }
  return result;
}

bool TestPass::Holds(uint64_t worker, uint64_t lease_id) const {
  return std::any_of(slices_.begin(), slices_.end(), [&](const Slice& slice) {
    return lease_id != 0 && slice.lease_id == lease_id && slice.worker == worker;
  });
}

v1::TestReport TestPass::Report() const {
  v1::TestReport report;
  report.set_iteration(frozen_iteration_);
  report.set_net(net_);
  report.set_records(records_);
  for (int i = 0; i < outputs_.outputs_size(); ++i) {
    v1::NamedValue* value = report.add_outputs();
    value->set_name(outputs_.outputs(i).name());
    value->set_loss_weight(outputs_.outputs(i).loss_weight());
    value->set_mean_of(outputs_.outputs(i).mean_of());
    value->set_value(sums_[static_cast<size_t>(i)] / static_cast<double>(records_));
  }
  return report;
}

}  // namespace samovar
