#include "common/parameters/sparse_floats.h"

#include <string>
#include <vector>

#include "common/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

std::vector<char> Payload(uint32_t count, const std::string& places, const std::vector<float>& values) {
  std::string payload(reinterpret_cast<const char*>(&count), sizeof(count));
  payload += places;
  payload.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return {payload.begin(), payload.end()};
}

TEST_CASE("listed floats arrive at their places, all others are zero") {
  for (const std::vector<uint32_t>& places :
       {std::vector<uint32_t>{}, {0}, {0, 1, 2}, {127, 128, 400, 99'999}, {20'000, 40'000}}) {
    std::vector<float> values(100'000, 7);
    std::vector<float> expected(100'000, 0);
    for (const uint32_t place : places) expected[place] = values[place] = static_cast<float>(place) - 0.5f;
    std::vector<char> payload;
    EncodeSparse(values, places, &payload);
    std::vector<float> decoded(100'000, -1);
    REQUIRE_OK(DecodeSparse(payload, decoded));
    CHECK(decoded == expected);
  }
}

TEST_CASE("one float in a hundred takes five bytes") {
  std::vector<uint32_t> places;
  for (uint32_t i = 50; i < 65'536; i += 100) places.push_back(i);
  std::vector<char> payload;
  EncodeSparse(std::vector<float>(65'536, 1), places, &payload);
  CHECK(payload.size() == 4 + 5 * places.size());
}

TEST_CASE("a payload that is none is refused with what is wrong") {
  std::vector<float> values(10);
  const auto invalid = absl::StatusCode::kInvalidArgument;
  REQUIRE_STATUS(DecodeSparse({}, values), invalid, "no room for a number");
  REQUIRE_STATUS(DecodeSparse(Payload(11, std::string(11, '\0'), std::vector<float>(11)), values), invalid,
                 "lists 11 floats of 10");
  REQUIRE_STATUS(DecodeSparse(Payload(0xFFFFFFFF, "", {}), values), invalid, "lists 4294967295 floats");
  REQUIRE_STATUS(DecodeSparse(Payload(2, std::string(2, '\0'), {1}), values), invalid, "too few");
  REQUIRE_STATUS(DecodeSparse(Payload(1, std::string(2, '\0'), {1}), values), invalid, "1 bytes more");
  REQUIRE_STATUS(DecodeSparse(Payload(1, "\x0A", {1}), values), invalid, "float 0 beyond the last of 10");
  REQUIRE_STATUS(DecodeSparse(Payload(2, "\x08\x01", {1, 2}), values), invalid, "float 1 beyond");
  REQUIRE_STATUS(DecodeSparse(Payload(1, "\x80", {1}), values), invalid, "breaks off in the place of its float 0");
  REQUIRE_STATUS(DecodeSparse(Payload(1, "\xFF\xFF\xFF\xFF\xFF\x01", {1}), values), invalid, "breaks off");
  REQUIRE_STATUS(DecodeSparse(Payload(1, "\xFF\xFF\xFF\xFF\x7F", {1}), values), invalid, "beyond the last");
}

TEST_CASE("random bytes are decoded or refused, and nothing else happens") {
  int refused = 0;
  for (uint64_t i = 0; i < 20'000; ++i) {
    std::vector<char> payload(Philox(1, 2, i)[0] % 60);
    for (size_t j = 0; j < payload.size(); ++j)
      payload[j] = static_cast<char>(Philox(3, i, j)[0] >> (j % 3 == 0 ? 0 : 28));
    std::vector<float> values(Philox(4, 5, i)[0] % 40);
    refused += DecodeSparse(payload, values).ok() ? 0 : 1;
  }
  CHECK(refused > 1000);
}

}  // namespace
}  // namespace samovar
