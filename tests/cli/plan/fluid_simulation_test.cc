// Activities that share resources: how fast each goes, and that no resource passes more than it can.
#include "cli/plan/fluid_simulation.h"

#include <string>
#include <vector>

#include "common/base/random.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

// An activity whose units each use one of every resource in the list.
FluidSimulation::Activity Units(double amount, const std::vector<int>& resources, double limit = 1e30) {
  FluidSimulation::Activity activity;
  activity.amount = amount;
  activity.limit = limit;
  for (const int resource : resources) activity.uses.push_back({resource, 1});
  return activity;
}

TEST_CASE("two activities share a link fairly, and the longer one has all of it afterwards") {
  FluidSimulation simulation;
  const int link = simulation.AddResource(10);
  std::vector<double> ends;
  simulation.Start(Units(10, {link}), [&] { ends.push_back(simulation.now()); });
  simulation.Start(Units(30, {link}), [&] { ends.push_back(simulation.now()); });
  while (simulation.Step()) continue;
  REQUIRE(ends.size() == 2);
  CHECK(ends[0] == Approx(2));
  CHECK(ends[1] == Approx(4));
}

TEST_CASE("an activity that is held up elsewhere leaves its part to the others") {
  FluidSimulation simulation;
  const int shared = simulation.AddResource(10);
  const int narrow = simulation.AddResource(2);
  double slow = 0;
  double fast = 0;
  simulation.Start(Units(4, {shared, narrow}), [&] { slow = simulation.now(); });
  simulation.Start(Units(16, {shared}), [&] { fast = simulation.now(); });
  while (simulation.Step()) continue;
  CHECK(slow == Approx(2));
  CHECK(fast == Approx(2));
}

TEST_CASE("an activity goes no faster than its limit, and delays end in their order") {
  FluidSimulation simulation;
  const int link = simulation.AddResource(10);
  std::string order;
  simulation.Start(Units(3, {link}, 1), [&] { order += 'a'; });
  simulation.After(1, [&] { order += 'b'; });
  simulation.After(1, [&] { order += 'c'; });
  simulation.After(4, [&] { order += 'd'; });
  while (simulation.Step()) continue;
  CHECK(order == "bcad");
  CHECK(simulation.now() == Approx(4));
}

TEST_CASE("no resource ever passes more than its capacity, and all work is done") {
  FluidSimulation simulation;
  std::vector<int> resources;
  for (int i = 0; i < 8; ++i) resources.push_back(simulation.AddResource(1 + i));
  double given = 0;
  double ended = 0;
  for (uint64_t i = 0; i < 300; ++i) {
    const auto bits = Philox(7, 0, i);
    simulation.After(bits[0] % 100, [&, bits] {
      FluidSimulation::Activity activity = Units(1 + bits[1] % 10, {}, 0.5 + bits[3] % 5);
      for (int k = 0; k < 3; ++k) activity.uses.push_back({static_cast<int>((bits[2] >> (4 * k)) % 8), 0.5 + k});
      activity.share = 1 + bits[3] % 3;
      given += activity.amount;
      simulation.Start(activity, [&, amount = activity.amount] { ended += amount; });
    });
  }
  double before = 0;
  std::vector<double> passed(resources.size(), 0);
  while (simulation.Step()) {
    const double seconds = simulation.now() - before;
    for (size_t i = 0; i < resources.size(); ++i) {
      const double now = simulation.Passed(resources[i]);
      CHECK(now - passed[i] <= simulation.Capacity(resources[i]) * seconds * (1 + 1e-6) + 1e-9);
      passed[i] = now;
    }
    before = simulation.now();
  }
  CHECK(ended == Approx(given));
}

}  // namespace
}  // namespace samovar
