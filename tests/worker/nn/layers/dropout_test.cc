// Dropout's masks.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

constexpr int kWidth = 101;

std::string Dropout(const std::string& name, const std::string& fields = "") {
  return absl::StrCat("layer { name: \"", name, "\" type: \"Dropout\" bottom: \"data\" top: \"", name,
                      "\" loss_weight: 1 ", fields, " }\n");
}

// A net whose records [1, 5, 101] are ones.
std::unique_ptr<Net> OnesNet(int batch, const std::string& layers, caffe::Phase phase = caffe::TRAIN) {
  std::unique_ptr<Net> net = MakeNet(DataText(batch) + layers, ImageOptions(phase, 1, 5, kWidth));
  std::fill(DataOf(net.get()).begin(), DataOf(net.get()).end(), 1.0f);
  return net;
}

// All values of the outputs but the data layer's label, in their order.
std::vector<float> Values(Net* net, uint64_t iteration = 0, uint64_t seed = 0, uint64_t first_record = 0) {
  REQUIRE_OK(net->Forward(iteration, seed, first_record));
  std::vector<float> values;
  std::string last = "label";
  for (const v1::OutputSpec& output : net->output_specs().outputs()) {
    if (output.name() == "label" || output.name() == last) continue;
    last = output.name();
    const absl::StatusOr<NetBlob> blob = net->FindBlob(last);
    REQUIRE_OK(blob);
    values.insert(values.end(), blob->values.begin(), blob->values.end());
  }
  return values;
}

TEST_CASE("dropout keeps the share that it is told, and scales what it keeps") {
  for (const auto& [field, ratio] :
       std::vector<std::pair<std::string, float>>{{"", 0.5f},
                                                  {"dropout_param { dropout_ratio: 0.2 }", 0.2f},
                                                  {"dropout_param { dropout_ratio: 0.9 }", 0.9f}}) {
    const std::vector<float> values = Values(OnesNet(40, Dropout("d", field)).get());
    size_t kept = 0;
    for (float value : values) {
      kept += value != 0;
      if (value != 0) REQUIRE(value == 1 / (1 - ratio));
    }
    // 20,200 values: five standard deviations are 0.018 at most.
    CHECK(static_cast<double>(kept) / static_cast<double>(values.size()) == Approx(1 - ratio).margin(0.018));
  }
  CHECK(Values(OnesNet(1, Dropout("d", "dropout_param { dropout_ratio: 0 }")).get()) ==
        std::vector<float>(5 * kWidth, 1.0f));
}

// The file of a job's results can be made again years later.
TEST_CASE("the mask is that of the generator's numbers in their order") {
  const std::vector<float> values = Values(OnesNet(3, Dropout("d")).get(), /*iteration=*/7, /*seed=*/3,
                                           /*first_record=*/11);
  // Layer 1 of the net.
  const uint64_t key = DeriveKey(RandomStream::kDropout, {3, 7, 1});
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t record = i / (5 * kWidth), place = i % (5 * kWidth);
    const uint32_t bits = Philox(key, 11 + record, place / 4)[place % 4];
    REQUIRE(values[i] == (bits >= 0x80000000u ? 2.0f : 0.0f));
  }
}

// Records of several blocks of numbers, the last of them cut off anywhere.
TEST_CASE("the mask of a long record is that of the generator's numbers too") {
  constexpr size_t kLong = 9001;
  const std::unique_ptr<Net> net = MakeNet(DataText(2) + Dropout("d"), ImageOptions(caffe::TRAIN, 1, 1, kLong));
  std::fill(DataOf(net.get()).begin(), DataOf(net.get()).end(), 1.0f);
  const uint64_t first_record = 0x123456789;
  const std::vector<float> values = Values(net.get(), /*iteration=*/7, /*seed=*/3, first_record);
  REQUIRE(values.size() == 2 * kLong);
  const uint64_t key = DeriveKey(RandomStream::kDropout, {3, 7, 1});
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t bits = Philox(key, first_record + i / kLong, i % kLong / 4)[i % kLong % 4];
    REQUIRE(values[i] == (bits >= 0x80000000u ? 2.0f : 0.0f));
  }
}

TEST_CASE("dropout when testing changes nothing, in place or not") {
  CHECK(Values(OnesNet(2, Dropout("d"), caffe::TEST).get()) == std::vector<float>(10 * kWidth, 1.0f));
  const std::string chain = R"(layer { name: "a" type: "Power" bottom: "data" top: "a" power_param { shift: 1 } }
      layer { name: "d" type: "Dropout" bottom: "a" top: "a" })";
  CHECK(Values(OnesNet(2, chain, caffe::TEST).get()) == std::vector<float>(10 * kWidth, 2.0f));
}

TEST_CASE("masks do not depend on how an iteration is cut into passes") {
  const std::vector<float> whole = Values(OnesNet(12, Dropout("d")).get(), 7, 3);
  std::vector<float> parts = Values(OnesNet(5, Dropout("d")).get(), 7, 3, 0);
  const std::vector<float> rest = Values(OnesNet(7, Dropout("d")).get(), 7, 3, 5);
  parts.insert(parts.end(), rest.begin(), rest.end());
  CHECK(parts == whole);
}

TEST_CASE("every iteration, seed, layer and record has a mask of its own") {
  std::unique_ptr<Net> net = OnesNet(2, Dropout("a") + Dropout("b"));
  const std::vector<float> both = Values(net.get(), 1, 1);
  const auto layer = [](const std::vector<float>& values, size_t i) {
    return std::vector<float>(values.begin() + static_cast<ptrdiff_t>(i * 10 * kWidth),
                              values.begin() + static_cast<ptrdiff_t>((i + 1) * 10 * kWidth));
  };
  CHECK(layer(both, 0) != layer(both, 1));
  CHECK(Values(net.get(), 2, 1) != both);
  CHECK(Values(net.get(), 1, 2) != both);
  CHECK(Values(net.get(), 1, 1) == both);
  const std::vector<float> first = layer(both, 0);
  CHECK(!std::equal(first.begin(), first.begin() + 5 * kWidth, first.begin() + 5 * kWidth));
}

}  // namespace
}  // namespace samovar
