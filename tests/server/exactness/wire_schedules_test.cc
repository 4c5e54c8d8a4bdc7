// Random schedules on the wire: more than a thousand runs of the real client against real servers, over links that
// lose, double, delay and repeat what passes, with workers that die and servers that are lost.
//
// A schedule is chosen by its seed. To run one alone, or another number of them (the sanitizers are slow):
//   SAMOVAR_FAULT_SEED=17 <this program> "<the case's name>"
//   SAMOVAR_FAULT_SEEDS=20 <this program>
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "tests/server/exactness/wire_schedule.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint64_t kSeeds = 150;

std::optional<uint64_t> NumberFrom(const char* variable) {
  const char* text = std::getenv(variable);
  uint64_t number = 0;
  if (text == nullptr) return std::nullopt;
  INFO(variable << "=" << text << " is not a number");
  REQUIRE(absl::SimpleAtoi(text, &number));
  return number;
}

// Runs the schedules; `check` looks at each when it has ended.
template <typename Check>
void RunSchedules(const WireScenario& scenario, Check check) {
  const std::optional<uint64_t> only = NumberFrom("SAMOVAR_FAULT_SEED");
  const uint64_t begin = only.value_or(0);
  const uint64_t end = only.has_value() ? begin + 1 : NumberFrom("SAMOVAR_FAULT_SEEDS").value_or(kSeeds);
  FaultLink::Counts counts;
  int workers_lost = 0;
  int servers_lost = 0;
  for (uint64_t seed = begin; seed < end; ++seed) {
    INFO("seed " << seed << "; to run it alone: SAMOVAR_FAULT_SEED=" << seed);
    WireSchedule schedule(seed, scenario);
    schedule.Run();
    check(schedule);
    counts += schedule.counts();
    workers_lost += schedule.workers_lost();
    servers_lost += schedule.servers_lost();
  }
  if (end - begin < kSeeds) return;
  // The schedules do what they are for.
  CHECK(counts.overtaken > 100);
  CHECK(counts.twice > 100);
  CHECK(counts.again > 100);
  CHECK(counts.lost_requests > 50);
  CHECK(counts.lost_answers > 50);
  CHECK(workers_lost > 50);
  if (scenario.losses != WireScenario::Losses::kNone) CHECK(servers_lost > 50);
}

void RunSameBits(const WireScenario& scenario) {
  const Weights expected = WireSchedule::Undisturbed(scenario);
  RunSchedules(scenario, [&](const WireSchedule& schedule) {
    const Weights& weights = schedule.final_weights();
    const auto differing = std::mismatch(weights.begin(), weights.end(), expected.begin(), expected.end());
    // The first place that differs, if any: the vectors are too long to be printed.
    REQUIRE(differing.first - weights.begin() == static_cast<std::ptrdiff_t>(kWireElements));
  });
}

void RunExact(const WireScenario& scenario) {
  RunSchedules(scenario, [](const WireSchedule&) {});
}

TEST_CASE("on a bad wire whole iterations applied in order come to the same weights to the bit") {
  RunSameBits({.parts = 1, .solver = "Adam", .delay = 0});
}

TEST_CASE("on a bad wire iterations in three parts come to the same weights to the bit") {
  RunSameBits({.parts = 3, .solver = "Nesterov", .delay = 0});
}

TEST_CASE("on a bad wire sums of subtrees, twice and overlapping, come to the same weights to the bit") {
  WireScenario scenario = {.parts = 5, .solver = "Nesterov", .delay = 0};
  const Weights by_parts = WireSchedule::Undisturbed(scenario);
  scenario.subtrees = true;
  RunSameBits(scenario);
  REQUIRE(WireSchedule::Undisturbed(scenario) == by_parts);
}

TEST_CASE("on a bad wire sums of subtrees of encoded gradients come to the same weights to the bit") {
  RunSameBits({.parts = 4, .delay = 0, .encoding = v1::ENCODING_BFLOAT16, .subtrees = true});
}

TEST_CASE("on a bad wire servers that go back to a snapshot take sums of subtrees to the same weights to the bit") {
  RunSameBits({.parts = 4, .delay = 0, .losses = WireScenario::Losses::kRollback, .subtrees = true});
}

TEST_CASE("on a bad wire encoded gradients come to the same weights to the bit") {
  RunSameBits({.parts = 2, .delay = 0, .encoding = v1::ENCODING_BFLOAT16});
}

TEST_CASE("on a bad wire servers that go back to a snapshot come to the same weights to the bit") {
  RunSameBits({.parts = 2, .delay = 0, .losses = WireScenario::Losses::kRollback});
}

TEST_CASE("on a bad wire asynchronous iterations are applied once") { RunExact({}); }

TEST_CASE("on a bad wire iterations with a bounded delay are applied once from weights not too old") {
  RunExact({.delay = 2});
}

TEST_CASE("on a bad wire asynchronous iterations are in the model once though servers are lost") {
  RunExact({.solver = "Nesterov", .losses = WireScenario::Losses::kServers});
}

TEST_CASE("on a bad wire iterations with a bounded delay are in the model once though servers are lost") {
  RunExact({.delay = 3, .losses = WireScenario::Losses::kServers});
}

}  // namespace
}  // namespace samovar
