#include "common/model/push_units.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("units begin at multiples of push_every, and the last one ends at max_iter") {
  CHECK(UnitEnd(0, 4, 10) == 4);
  CHECK(UnitEnd(3, 4, 10) == 4);
  CHECK(UnitEnd(4, 4, 10) == 8);
  CHECK(UnitEnd(8, 4, 10) == 10);
  CHECK(UnitEnd(9, 4, 10) == 10);
  CHECK(UnitEnd(5, 1, 10) == 6);
  CHECK(BetweenUnits(8, 4, 10));
  CHECK(BetweenUnits(10, 4, 10));
  CHECK_FALSE(BetweenUnits(9, 4, 10));
}

}  // namespace
}  // namespace samovar
