#include "common/model/test_plan.h"

#include <algorithm>

namespace samovar {
namespace {

// Tests that are distinguished: with as many records as a job may have, no product below exceeds 64 bits.
constexpr uint64_t kTests = uint64_t{1} << 23;

// How many tests come before the one at the iteration, modulo kTests.
uint64_t TestsBefore(const caffe::SolverParameter& solver, uint64_t iteration) {
  if (solver.test_interval() <= 0) return 0;
  const auto interval = static_cast<uint64_t>(solver.test_interval());
  // The last test may be between two multiples.
  const uint64_t number = iteration / interval + (iteration % interval != 0 ? 1 : 0);
  return (solver.test_initialization() || number == 0 ? number : number - 1) % kTests;
}

}  // namespace

uint64_t WholeTest(const v1::DatasetSpec& data) {
  const auto same = [&data](const v1::DatasetSpec& further) { return further.batch_size() == data.batch_size(); };
  if (std::all_of(data.further().begin(), data.further().end(), same)) return data.records();
  return (data.records() + data.batch_size() - 1) / data.batch_size() * data.batch_size();
}

TestedRange RecordsOfTest(const v1::JobSpec& spec, int net, uint64_t iteration) {
  const v1::DatasetSpec& data = spec.test_data(net);
  const int batches = net < spec.solver().test_iter_size() ? std::max(1, spec.solver().test_iter(net)) : 1;
  const uint64_t asked = static_cast<uint64_t>(batches) * data.batch_size();
  if (data.records() == 0) return {0, asked};
  if (asked >= data.records()) return {0, WholeTest(data)};
  return {TestsBefore(spec.solver(), iteration) * asked, asked};
}

}  // namespace samovar
