#include "cli/check/mode.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

v1::Consistency Bounded() {
  v1::Consistency before;
  before.set_mode(v1::CONSISTENCY_BOUNDED);
  before.set_delay(7);
  before.set_encoding(v1::ENCODING_SPARSE);
  before.set_topk_ratio(0.25);
  before.set_staleness_scaling(v1::STALENESS_SCALING_NONE);
  before.set_delay_compensation(0.04f);
  before.set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP);
  return before;
}

TEST_CASE("a run that is resumed is what it was where nothing is asked for") {
  const ModeChoice mode = Resumed({}, Bounded());
  CHECK(mode.mode == "bounded");
  CHECK(mode.delay == 7u);
  CHECK(mode.encoding == "topk");
  CHECK(mode.topk_ratio == 0.25);
  CHECK(mode.staleness_scaling == "none");
  CHECK(mode.delay_compensation == 0.04f);
  CHECK(mode.push_every == 1u);
  CHECK(mode.on_numeric_failure == "skip");
}

TEST_CASE("a run that is resumed is what is asked for, option by option") {
  ModeChoice asked;
  asked.encoding = "topk";
  asked.topk_ratio = 0.5;
  asked.staleness_scaling = "stretched";
  asked.delay_compensation = 0;
  asked.push_every = 4;
  asked.on_numeric_failure = "fail";
  const ModeChoice mode = Resumed(asked, Bounded());
  CHECK(mode.mode == "bounded");
  CHECK(mode.delay == 7u);
  CHECK(mode.topk_ratio == 0.5);
  CHECK(mode.staleness_scaling == "stretched");
  CHECK(mode.delay_compensation == 0.0f);
  CHECK(mode.push_every == 4u);
  CHECK(mode.on_numeric_failure == "fail");
}

TEST_CASE("a run in sync mode keeps in which order its parts were added up when it was begun") {
  v1::Consistency before;
  before.set_mode(v1::CONSISTENCY_SYNC);
  before.set_parts(8);
  CHECK(Resumed({}, before).part_sum_order == v1::PART_SUM_ORDER_SEQUENCE);
  before.set_part_sum_order(v1::PART_SUM_ORDER_TREE);
  CHECK(Resumed({}, before).part_sum_order == v1::PART_SUM_ORDER_TREE);
  CHECK(Resumed({}, Bounded()).part_sum_order == v1::PART_SUM_ORDER_TREE);
}

TEST_CASE("another mode keeps what the run said of late gradients and encodings, if anything is late in it") {
  ModeChoice asked;
  asked.mode = "async";
  ModeChoice mode = Resumed(asked, Bounded());
  CHECK(mode.mode == "async");
  CHECK_FALSE(mode.delay.has_value());
  CHECK(mode.encoding == "topk");
  CHECK(mode.topk_ratio == 0.25);
  CHECK(mode.staleness_scaling == "none");
  CHECK(mode.delay_compensation == 0.04f);

  asked.mode = "sync";
  asked.encoding = "bfloat16";
  mode = Resumed(asked, Bounded());
  CHECK(mode.encoding == "bfloat16");
  CHECK_FALSE(mode.topk_ratio.has_value());
  CHECK(mode.staleness_scaling.empty());
  CHECK_FALSE(mode.delay_compensation.has_value());

  asked.mode = "bounded";
  asked.delay = 0;
  CHECK(Resumed(asked, Bounded()).staleness_scaling.empty());
  asked.delay.reset();
  CHECK(Resumed(asked, Bounded()).delay == 7u);
}

}  // namespace
}  // namespace samovar
