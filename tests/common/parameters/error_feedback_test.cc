#include "common/parameters/error_feedback.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "common/base/random.h"
#include "common/parameters/sparse_floats.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr uint32_t kChunk = ChunkPlan::kMinChunkElements;
// The last chunk is of 100 floats.
constexpr uint64_t kElements = 2 * kChunk + 100;
constexpr uint32_t kChunks = 3;

ChunkPlan Plan() {
  const auto plan = ChunkPlan::Create(kElements, kChunk, 1);
  REQUIRE_OK(plan);
  return *plan;
}

// Whole numbers, so that sums are exact.
std::vector<float> Gradient(uint64_t t) {
  std::vector<float> gradient(kElements);
  for (size_t i = 0; i < kElements; ++i)
    gradient[i] = static_cast<float>(static_cast<int>(Philox(t, 1, i)[0] % 2001) - 1000);
  return gradient;
}

std::vector<float> Decode(const ErrorFeedback::Payload& payload, size_t floats) {
  std::vector<float> values(floats);
  if (payload.encoding == v1::ENCODING_SPARSE) {
    REQUIRE_OK(DecodeSparse(payload.bytes, values));
  } else {
    REQUIRE(payload.bytes.size() == floats * sizeof(float));
    std::memcpy(values.data(), payload.bytes.data(), payload.bytes.size());
  }
  return values;
}

std::vector<float> Push(ErrorFeedback* feedback, uint32_t chunk, const std::vector<float>& gradient) {
  const ChunkPlan plan = Plan();
  return Decode(feedback->Encode(chunk, std::span(gradient).subspan(plan.begin(chunk), plan.size(chunk))),
                plan.size(chunk));
}

std::vector<float> ResidualOf(const ErrorFeedback& feedback) {
  return {feedback.residual().begin(), feedback.residual().end()};
}

TEST_CASE("what is forgotten of a chunk is not sent, and other chunks keep theirs") {
  ErrorFeedback feedback(Plan(), 0.01, {});
  feedback.Begin(/*in_full=*/false);
  const std::vector<float> gradient = Gradient(0);
  for (const uint32_t chunk : {0, 1}) {
    Push(&feedback, chunk, gradient);
    feedback.Settle(chunk, /*applied=*/true);
  }
  const double both = feedback.Norm();
  feedback.Forget(0);
  CHECK(feedback.Norm() > 0);
  CHECK(feedback.Norm() < both);
  feedback.Begin(/*in_full=*/true);
  const std::vector<float> zeros(kElements);
  CHECK(Push(&feedback, 0, zeros) == std::vector<float>(kChunk));
  CHECK(Push(&feedback, 1, zeros) != std::vector<float>(kChunk));
}

TEST_CASE("what was sent and the residual add up to all gradients") {
  ErrorFeedback feedback(Plan(), 0.01, {});
  std::vector<double> gradients(kElements), sent(kElements);
  for (uint64_t t = 0; t < 50; ++t) {
    const std::vector<float> gradient = Gradient(t);
    feedback.Begin(/*in_full=*/t == 49);
    for (uint32_t chunk = 0; chunk < kChunks; ++chunk) {
      const std::vector<float> pushed = Push(&feedback, chunk, gradient);
      const auto listed = std::count_if(pushed.begin(), pushed.end(), [](float value) { return value != 0; });
      if (t < 49) CHECK(listed == std::llround(0.01 * static_cast<double>(pushed.size())));
      for (size_t i = 0; i < pushed.size(); ++i) sent[chunk * kChunk + i] += pushed[i];
      feedback.Settle(chunk, /*applied=*/true);
    }
    double squares = 0;
    for (size_t i = 0; i < kElements; ++i) {
      gradients[i] += gradient[i];
      REQUIRE(sent[i] + feedback.residual()[i] == gradients[i]);
      squares += std::pow(feedback.residual()[i], 2);
    }
    CHECK(feedback.Norm() == Approx(std::sqrt(squares)));
  }
  // The last push was in full.
  CHECK(feedback.Norm() == 0);
  CHECK(sent == gradients);
}

TEST_CASE("the largest are sent, of equals those at the front") {
  ErrorFeedback feedback(Plan(), 3.0 / kChunk, {});
  std::vector<float> gradient(kElements, 0.5f);
  gradient[17] = -3;
  gradient[4000] = 0.75f;
  gradient[kChunk - 1] = std::nextafter(0.5f, 0.0f);
  feedback.Begin(false);
  const std::vector<float> pushed = Push(&feedback, 0, gradient);
  std::vector<float> expected(kChunk);
  expected[0] = 0.5f;
  expected[17] = -3;
  expected[4000] = 0.75f;
  CHECK(pushed == expected);
}

TEST_CASE("zeros are not sent") {
  ErrorFeedback feedback(Plan(), 0.5, {});
  std::vector<float> gradient(kElements);
  gradient[5] = 1;
  feedback.Begin(false);
  CHECK(feedback.Encode(0, std::span(gradient).first(kChunk)).bytes.size() == 4 + 5);
}

TEST_CASE("a NaN is sent, for the server to refuse") {
  ErrorFeedback feedback(Plan(), 0.001, {});
  std::vector<float> gradient = Gradient(1);
  gradient[99] = std::nanf("");
  feedback.Begin(false);
  CHECK(std::isnan(Push(&feedback, 0, gradient)[99]));
}

TEST_CASE("statistics are always sent whole, beside the largest") {
  ErrorFeedback feedback(Plan(), 0.01, {{10, 20}, {kChunk - 5, kChunk + 5}});
  const std::vector<float> gradient(kElements, 0.25f);
  feedback.Begin(false);
  for (uint32_t chunk = 0; chunk < 2; ++chunk) {
    const std::vector<float> pushed = Push(&feedback, chunk, gradient);
    CHECK(std::count(pushed.begin(), pushed.end(), 0.25f) == 41 + (chunk == 0 ? 15 : 5));
    feedback.Settle(chunk, true);
  }
  for (const uint32_t place : {10u, 19u, kChunk - 5, kChunk - 1, kChunk, kChunk + 4})
    CHECK(feedback.residual()[place] == 0);
  CHECK(feedback.residual()[kChunk - 6] == 0.25f);
}

TEST_CASE("a push that is repeated is the same bytes") {
  ErrorFeedback feedback(Plan(), 0.01, {});
  const std::vector<float> gradient = Gradient(4);
  feedback.Begin(false);
  const std::vector<float> first = Push(&feedback, 1, gradient);
  CHECK(Push(&feedback, 1, gradient) == first);
  feedback.Settle(1, true);
  CHECK(feedback.residual()[kChunk] + first[0] == gradient[kChunk]);
}

TEST_CASE("of a push that was dropped nothing has happened") {
  ErrorFeedback feedback(Plan(), 0.01, {});
  feedback.Begin(false);
  Push(&feedback, 0, Gradient(1));
  feedback.Settle(0, true);
  const std::vector<float> before = ResidualOf(feedback);
  const double norm = feedback.Norm();
  feedback.Begin(false);
  Push(&feedback, 0, Gradient(2));
  feedback.Settle(0, false);
  CHECK(ResidualOf(feedback) == before);
  CHECK(feedback.Norm() == norm);
}

TEST_CASE("where it is unknown what became of a push, nothing of it is sent again") {
  // Abandoned; or dropped after it was sent twice, which may mean that the first was applied.
  for (const bool abandoned : {true, false}) {
    ErrorFeedback feedback(Plan(), 0.01, {});
    feedback.Begin(false);
    Push(&feedback, 0, Gradient(1));
    feedback.Settle(0, true);
    std::vector<float> expected = ResidualOf(feedback);
    feedback.Begin(false);
    const std::vector<float> pushed = Push(&feedback, 0, Gradient(2));
    if (!abandoned) {
      Push(&feedback, 0, Gradient(2));
      feedback.Settle(0, false);
    }
    feedback.Begin(false);
    for (size_t i = 0; i < pushed.size(); ++i) {
      if (pushed[i] != 0) expected[i] = 0;
    }
    CHECK(ResidualOf(feedback) == expected);
  }
}

TEST_CASE("a payload that would be longer than the floats themselves is sent in full") {
  ErrorFeedback feedback(Plan(), 1, {});
  feedback.Begin(false);
  const std::vector<float> gradient = Gradient(3);
  const ErrorFeedback::Payload payload = feedback.Encode(2, std::span(gradient).subspan(2 * kChunk));
  CHECK(payload.encoding == v1::ENCODING_FLOAT32);
  CHECK(payload.bytes.size() == 400);
}

}  // namespace
}  // namespace samovar
