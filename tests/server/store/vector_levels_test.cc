// A server's results are the same to the bit on any vector level of its CPU.
#include <google/protobuf/text_format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/base/vector_level.h"
#include "server/store/chunk.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// Of no length that vectors divide, from normal to very small and large.
constexpr size_t kFloats = 1003;

std::vector<float> Values(uint64_t seed) {
  std::vector<float> values(kFloats);
  for (size_t i = 0; i < kFloats; ++i) {
    const auto random = Philox(seed, 1, i);
    const int exponent = random[1] % 8 == 0 ? static_cast<int>(random[2] % 80) - 60 : 0;
    values[i] = std::ldexp(2 * UnitFloat(random[0]) - 1, exponent);
  }
  return values;
}

struct Outcome {
  ChunkImage image;
  std::vector<float> pulled = std::vector<float>(kFloats);
};

// A chunk after a few pushes, most of them late.
Outcome Train(const std::string& solver_text, VectorLevel level) {
  SetVectorLevel(level);
  caffe::SolverParameter solver;
  REQUIRE(google::protobuf::TextFormat::ParseFromString("base_lr: 0.1 max_iter: 100 lr_policy: 'fixed' " + solver_text,
                                                        &solver));
  auto rule = SolverRule::Create(solver);
  REQUIRE_OK(rule);
  ChunkImage image;
  image.weights = Values(7);
  image.state.assign(static_cast<size_t>((*rule)->state_vectors()), std::vector<float>(kFloats));
  RuleSegment statistics{990, kFloats};
  statistics.rule = v1::UPDATE_RULE_MOVING_AVERAGE;
  statistics.moving_average_fraction = 0.9f;
  // Segments begin and end anywhere.
  Chunk chunk(std::move(image), {{0, 501, 1, 1}, {501, 990, 2, 0}, statistics}, Chunk::Options());
  for (uint64_t t = 0; t < 6; ++t) REQUIRE_OK(chunk.Push(**rule, t, 0, Values(20 + t)));
  Outcome outcome;
  chunk.WritePulled(**rule, std::nullopt, reinterpret_cast<char*>(outcome.pulled.data()));
  SetVectorLevel(HighestVectorLevel());
  outcome.image = chunk.image();
  return outcome;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_CASE("every rule computes the same bits with and without AVX2") {
  for (const std::string type : {"type: 'SGD' momentum: 0.9", "type: 'Nesterov' momentum: 0.9", "type: 'AdaGrad'",
                                 "type: 'RMSProp'", "type: 'AdaDelta' momentum: 0.95", "type: 'Adam' momentum: 0.9"}) {
    for (const std::string decay :
         {" weight_decay: 0", " weight_decay: 0.01", " weight_decay: 0.01 regularization_type: 'L1'"}) {
      CAPTURE(type, decay);
      const Outcome low = Train(type + decay, VectorLevel::kV2);
      const Outcome high = Train(type + decay, HighestVectorLevel());
      CHECK(SameBits(low.image.weights, high.image.weights));
      REQUIRE(low.image.state.size() == high.image.state.size());
      for (size_t i = 0; i < low.image.state.size(); ++i) CHECK(SameBits(low.image.state[i], high.image.state[i]));
      CHECK(SameBits(low.pulled, high.pulled));
      CHECK_FALSE(SameBits(low.image.weights, Values(7)));
    }
  }
}

TEST_CASE("NaN and infinity are found at every place with and without AVX2") {
  for (const VectorLevel level : {VectorLevel::kV2, HighestVectorLevel()}) {
    SetVectorLevel(level);
    std::vector<float> values(67, 1.0f);
    CHECK(AllFinite(values));
    for (float& value : values) {
      for (const uint32_t bits : {0x7F800000u, 0xFF800000u, 0x7FC00000u, 0x7F800001u}) {
        value = std::bit_cast<float>(bits);
        CHECK_FALSE(AllFinite(values));
      }
      value = 1.0f;
    }
  }
  SetVectorLevel(HighestVectorLevel());
}

}  // namespace
}  // namespace samovar
