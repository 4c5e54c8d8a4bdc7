#include "common/model/layout.h"

#include <vector>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

v1::ParameterLayout TwoBlobs() {
  v1::ParameterLayout layout;
  v1::ParameterBlob* weights = layout.add_blobs();
  weights->set_layer("ip");
  weights->add_shape(3);
  weights->add_shape(4);
  weights->mutable_filler()->set_type("xavier");
  v1::ParameterBlob* bias = layout.add_blobs();
  bias->set_layer("ip");
  bias->set_index(1);
  bias->add_shape(3);
  bias->mutable_filler()->set_type("constant");
  bias->mutable_filler()->set_value(2);
  bias->set_offset(12);
  layout.set_elements(15);
  return layout;
}

TEST_CASE("a range visits the blobs that it meets, with their parts of it") {
  std::vector<std::tuple<uint32_t, uint64_t, uint64_t>> seen;
  VisitRange(TwoBlobs(), 10, 14, [&](const v1::ParameterBlob& blob, uint64_t begin, uint64_t end) {
    seen.emplace_back(blob.index(), begin, end);
  });
  CHECK(seen == std::vector<std::tuple<uint32_t, uint64_t, uint64_t>>{{0, 10, 12}, {1, 12, 14}});
}

TEST_CASE("initial weights of a range across blobs are those of the whole") {
  std::vector<float> whole(15), part(4);
  REQUIRE_OK(FillLayoutRange(TwoBlobs(), 3, 0, whole));
  REQUIRE_OK(FillLayoutRange(TwoBlobs(), 3, 10, part));
  CHECK(part == std::vector<float>(whole.begin() + 10, whole.begin() + 14));
  CHECK(whole[12] == 2);
}

TEST_CASE("a layout from outside is checked before it is trusted") {
  REQUIRE_OK(CheckLayout(TwoBlobs()));

  v1::ParameterLayout layout = TwoBlobs();
  layout.mutable_blobs(1)->set_offset(11);
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "begins at 11");

  layout = TwoBlobs();
  layout.set_elements(16);
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "15");

  layout = TwoBlobs();
  layout.mutable_blobs(0)->set_shape(0, -3);
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "-3");

  layout = TwoBlobs();
  layout.mutable_blobs(0)->set_shape(0, int64_t{1} << 62);
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "too large");

  layout = TwoBlobs();
  layout.mutable_blobs(0)->set_lr_mult(std::numeric_limits<float>::quiet_NaN());
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "finite");

  REQUIRE_STATUS(CheckLayout(v1::ParameterLayout()), absl::StatusCode::kInvalidArgument, "no learnable");
}

TEST_CASE("a moving average's fraction is checked, and a rule that is not known is refused") {
  v1::ParameterLayout layout = TwoBlobs();
  v1::ParameterBlob* statistics = layout.mutable_blobs(1);
  statistics->set_rule(v1::UPDATE_RULE_MOVING_AVERAGE);
  for (float fraction : {0.0f, 0.999f, 1.0f}) {
    statistics->set_moving_average_fraction(fraction);
    REQUIRE_OK(CheckLayout(layout));
  }
  for (float fraction : {-0.1f, 1.1f, std::numeric_limits<float>::quiet_NaN()}) {
    statistics->set_moving_average_fraction(fraction);
    REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "moving_average_fraction must be 0 to 1");
  }
  statistics->set_rule(static_cast<v1::UpdateRule>(7));
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kUnimplemented, "update rule 7");
}

TEST_CASE("a shared parameter is a blob that there is, under a number that the layer has once") {
  v1::ParameterLayout layout = TwoBlobs();
  v1::SharedParameter* shared = layout.add_shared();
  shared->set_layer("ip2");
  shared->set_blob(1);
  REQUIRE_OK(CheckLayout(layout));
  shared->set_blob(2);
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "blob 2 of the layout, which has 2");
  shared->set_blob(0);
  shared->set_layer("ip");
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "\"ip\", shared blob 0");
  layout = TwoBlobs();
  layout.mutable_blobs(1)->set_index(0);
  REQUIRE_STATUS(CheckLayout(layout), absl::StatusCode::kInvalidArgument, "two blobs 0");
}

TEST_CASE("the fingerprint tells layouts apart by layers and shapes, not by multipliers") {
  v1::ParameterLayout other = TwoBlobs();
  other.mutable_blobs(0)->set_lr_mult(5);
  CHECK(LayoutFingerprint(other) == LayoutFingerprint(TwoBlobs()));
  other.mutable_blobs(0)->set_layer("ip2");
  CHECK(LayoutFingerprint(other) != LayoutFingerprint(TwoBlobs()));
  other = TwoBlobs();
  other.mutable_blobs(0)->set_rule(v1::UPDATE_RULE_MOVING_AVERAGE);
  CHECK(LayoutFingerprint(other) != LayoutFingerprint(TwoBlobs()));
  other = TwoBlobs();
  other.mutable_blobs(0)->set_shape(0, 4);
  other.mutable_blobs(0)->set_shape(1, 3);
  CHECK(LayoutFingerprint(other) != LayoutFingerprint(TwoBlobs()));
}

}  // namespace
}  // namespace samovar
