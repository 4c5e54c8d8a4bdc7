#include "common/parameters/exchange_codec.h"

#include <grpcpp/grpcpp.h>

#include <cstring>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "samovar/v1/parameter.pb.h"
#include "tests/support/byte_buffers.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

v1::ExchangeResponse MakeResponse() {
  v1::ExchangeResponse response;
  response.set_sequence(300);
  response.set_applied(2);
  response.set_duplicates(1);
  response.set_not_yet(true);
  for (uint32_t chunk : {7u, 0u}) {
    v1::ChunkData* data = response.add_weights();
    data->set_chunk(chunk);
    data->set_version(uint64_t{1} << 40);
    const std::vector<float> values(100 + chunk, 0.25f * static_cast<float>(chunk + 1));
    data->set_payload(values.data(), values.size() * sizeof(float));
  }
  return response;
}

TEST_CASE("an encoded request is what generated code reads") {
  const std::vector<float> first(5, 1.5f);
  const std::vector<float> second(200, -2.0f);
  const std::vector<char> sparse = {'a', 'b', 'c'};
  const std::vector<PushedChunk> push = {{0, 0, first},
                                         {300, uint64_t{1} << 50, second},
                                         {1, 1, second, v1::ENCODING_INT8_BLOCKS, 77},
                                         {2, 1, {}, v1::ENCODING_SPARSE, 0, sparse}};
  const std::vector<uint32_t> pull = {0, 1, 127, 128, UINT32_MAX};
  ExchangeHead head;
  head.sequence = 129;
  head.job_id = "job-1";
  head.epoch = UINT64_MAX;
  head.iteration = 1;
  head.frozen = true;
  head.frozen_iteration = 500;
  head.vector = 2;
  head.waits = true;
  head.watermark = 300;
  head.part = 7;
  head.pull_encoding = v1::ENCODING_BFLOAT16;
  head.apply = true;
  head.norm = 0.1;
  head.iterations = 8;
  head.opening = uint64_t{3} << 32 | 1;
  const std::vector<uint32_t> squares = {5, 1000};

  v1::ExchangeRequest request;
  REQUIRE(request.ParseFromString(BytesOf(EncodeExchangeRequest(head, push, pull, squares))));
  REQUIRE(request.sequence() == head.sequence);
  REQUIRE(request.job_id() == head.job_id);
  REQUIRE(request.epoch() == head.epoch);
  REQUIRE(request.iteration() == head.iteration);
  REQUIRE(request.frozen());
  REQUIRE(request.frozen_iteration() == head.frozen_iteration);
  REQUIRE(request.vector() == head.vector);
  REQUIRE(request.waits());
  REQUIRE(request.watermark() == head.watermark);
  REQUIRE(request.part() == head.part);
  REQUIRE(request.pull_encoding() == v1::ENCODING_BFLOAT16);
  REQUIRE(request.apply());
  REQUIRE(request.norm() == head.norm);
  REQUIRE(request.iterations() == head.iterations);
  REQUIRE(request.opening() == head.opening);
  REQUIRE(std::vector<uint32_t>(request.squares().begin(), request.squares().end()) == squares);
  REQUIRE(std::vector<uint32_t>(request.pull().begin(), request.pull().end()) == pull);
  REQUIRE(request.push_size() == 4);
  std::string encoded(EncodedBytes(v1::ENCODING_INT8_BLOCKS, second.size()), 0);
  EncodeFloats(v1::ENCODING_INT8_BLOCKS, second, 77, encoded.data());
  REQUIRE(request.push(2).encoding() == v1::ENCODING_INT8_BLOCKS);
  REQUIRE(request.push(2).payload() == encoded);
  REQUIRE(request.push(3).encoding() == v1::ENCODING_SPARSE);
  REQUIRE(request.push(3).payload() == "abc");
  for (int i = 0; i < 2; ++i) {
    REQUIRE(request.push(i).chunk() == push[i].chunk);
    REQUIRE(request.push(i).version() == push[i].version);
    REQUIRE(request.push(i).encoding() == v1::ENCODING_FLOAT32);
    REQUIRE(request.push(i).payload().size() == push[i].gradient.size_bytes());
    REQUIRE(std::memcmp(request.push(i).payload().data(), push[i].gradient.data(), push[i].gradient.size_bytes()) == 0);
  }
}

TEST_CASE("an encoded request has no byte that generated code would not write") {
  ExchangeHead head;
  head.job_id = "job";
  const std::vector<uint32_t> pull = {3};
  v1::ExchangeRequest expected;
  expected.set_job_id("job");
  expected.add_pull(3);
  REQUIRE(BytesOf(EncodeExchangeRequest(head, {}, pull)) == expected.SerializeAsString());
}

TEST_CASE("what generated code wrote is parsed, however it is cut into slices") {
  const v1::ExchangeResponse response = MakeResponse();
  const std::string bytes = response.SerializeAsString();
  for (size_t piece : {size_t{1}, size_t{3}, size_t{64}, bytes.size()}) {
    grpc::ByteBuffer buffer = BufferOf(bytes, piece);
    ExchangeAnswer answer;
    REQUIRE_OK(ParseExchangeResponse(&buffer, 2, &answer));
    REQUIRE(answer.sequence == 300);
    REQUIRE(answer.code == 0);
    REQUIRE(answer.applied == 2);
    REQUIRE(answer.duplicates == 1);
    REQUIRE(answer.not_yet);
    REQUIRE(answer.weights.size() == 2);
    REQUIRE(answer.weights[0].chunk == 7);
    REQUIRE(answer.weights[0].version == uint64_t{1} << 40);
    REQUIRE(answer.weights[0].payload_bytes == 107 * 4);
    std::vector<float> seven(107);
    std::vector<float> zero(100);
    REQUIRE_OK(DecodePayloads(&buffer, answer, std::vector<std::span<float>>{seven, zero}));
    REQUIRE(seven == std::vector<float>(107, 2.0f));
    REQUIRE(zero == std::vector<float>(100, 0.25f));
  }
}

TEST_CASE("sums of squares are parsed, an empty list too, and broken ones are refused") {
  v1::ExchangeResponse response;
  v1::ChunkSquares* squares = response.add_squares();
  squares->set_chunk(7);
  for (const double sum : {0.1, 1e300}) squares->add_sums(sum);
  response.add_squares()->set_chunk(300);
  const std::string bytes = response.SerializeAsString();
  for (size_t piece : {size_t{1}, size_t{5}, bytes.size()}) {
    grpc::ByteBuffer buffer = BufferOf(bytes, piece);
    ExchangeAnswer answer;
    REQUIRE_OK(ParseExchangeResponse(&buffer, 2, &answer));
    REQUIRE(answer.squares.size() == 2);
    REQUIRE(answer.squares[0].chunk == 7);
    REQUIRE(answer.squares[0].sums == std::vector<double>{0.1, 1e300});
    REQUIRE(answer.squares[1].chunk == 300);
    REQUIRE(answer.squares[1].sums.empty());
    REQUIRE_STATUS(ParseExchangeResponse(&buffer, 1, &answer), absl::StatusCode::kDataLoss, "more than 1 chunks");
  }
  ExchangeAnswer answer;
  // A list of 3 bytes.
  grpc::ByteBuffer broken = BufferOf(std::string("\x4a\5\x12\3abc", 7), 64);
  REQUIRE_STATUS(ParseExchangeResponse(&broken, 2, &answer), absl::StatusCode::kDataLoss, "field 9");
}

TEST_CASE("an answer's code and text are parsed, and nothing of the answer before stays") {
  ExchangeAnswer answer;
  grpc::ByteBuffer full = BufferOf(MakeResponse().SerializeAsString(), 64);
  REQUIRE_OK(ParseExchangeResponse(&full, 2, &answer));
  v1::ExchangeResponse refusal;
  refusal.set_code(9);
  refusal.set_message("the epoch is old");
  grpc::ByteBuffer buffer = BufferOf(refusal.SerializeAsString(), 64);
  REQUIRE_OK(ParseExchangeResponse(&buffer, 2, &answer));
  REQUIRE(answer.code == 9);
  REQUIRE(answer.message == "the epoch is old");
  REQUIRE(answer.sequence == 0);
  REQUIRE(answer.applied == 0);
  REQUIRE(answer.weights.empty());
}

TEST_CASE("chunks whose pushes were dropped are parsed, and no more of them than there are") {
  v1::ExchangeResponse response;
  for (const uint32_t chunk : {0u, 3u, 200'000u}) response.add_dropped(chunk);
  for (size_t piece : {size_t{1}, size_t{64}}) {
    grpc::ByteBuffer buffer = BufferOf(response.SerializeAsString(), piece);
    ExchangeAnswer answer;
    REQUIRE_OK(ParseExchangeResponse(&buffer, 3, &answer));
    CHECK(answer.dropped == std::vector<uint32_t>{0, 3, 200'000});
    REQUIRE_STATUS(ParseExchangeResponse(&buffer, 2, &answer), absl::StatusCode::kDataLoss, "more than 2 chunks");
  }
}

TEST_CASE("fields that are not known are skipped") {
  std::string bytes = MakeResponse().SerializeAsString();
  bytes += std::string("\x78\x05", 2);                // 15: varint
  bytes += std::string("\x79\1\2\3\4\5\6\7\x08", 9);  // 15: 8 bytes
  bytes += std::string("\x7A\3abc", 5);               // 15: text
  bytes += std::string("\x7D\1\2\3\4", 5);            // 15: 4 bytes
  grpc::ByteBuffer buffer = BufferOf(bytes, 64);
  ExchangeAnswer answer;
  REQUIRE_OK(ParseExchangeResponse(&buffer, 2, &answer));
  REQUIRE(answer.weights.size() == 2);
}

TEST_CASE("an answer that breaks off is refused") {
  const std::string bytes = MakeResponse().SerializeAsString();
  // Behind the head's fields every place lies within a field of known length.
  for (size_t length = bytes.size() - 1; length > 24; length -= 7) {
    grpc::ByteBuffer buffer = BufferOf(bytes.substr(0, length), 64);
    ExchangeAnswer answer;
    const absl::Status status = ParseExchangeResponse(&buffer, 2, &answer);
    // Cut between two fields it is a shorter message, which is well-formed.
    if (!status.ok()) REQUIRE_STATUS(status, absl::StatusCode::kDataLoss, "not an ExchangeResponse");
    if (status.ok()) REQUIRE(answer.weights.size() < 2);
  }
}

TEST_CASE("an answer with more chunks than there are is refused") {
  grpc::ByteBuffer buffer = BufferOf(MakeResponse().SerializeAsString(), 64);
  ExchangeAnswer answer;
  REQUIRE_STATUS(ParseExchangeResponse(&buffer, 1, &answer), absl::StatusCode::kDataLoss, "more than 1 chunks");
}

TEST_CASE("random bytes are an answer or an error, and payloads lie inside the message") {
  const uint64_t key = DeriveKey(RandomStream::kFiller, {11});
  const std::string valid = MakeResponse().SerializeAsString();
  for (uint64_t round = 0; round < 3000; ++round) {
    std::string bytes = valid;
    const auto draws = Philox(key, 0, round);
    for (int change = 0; change < 3; ++change) {
      bytes[draws[change] % 40] = static_cast<char>(Philox(key, 1, round * 3 + change)[0]);
    }
    if (draws[3] % 2 == 0) bytes.resize(draws[3] % bytes.size());
    grpc::ByteBuffer buffer = BufferOf(bytes, 1 + draws[3] % 100);
    ExchangeAnswer answer;
    if (!ParseExchangeResponse(&buffer, 8, &answer).ok()) continue;
    std::vector<std::vector<float>> rooms;
    for (ExchangeAnswer::Weights& weights : answer.weights) {
      REQUIRE(weights.payload_begin + weights.payload_bytes <= static_cast<int>(bytes.size()));
      // The client has checked both by then.
      weights.encoding = v1::ENCODING_FLOAT32;
      rooms.emplace_back(static_cast<size_t>(weights.payload_bytes) / sizeof(float) + 1);
    }
    REQUIRE_OK(DecodePayloads(&buffer, answer, std::vector<std::span<float>>(rooms.begin(), rooms.end())));
  }
}

}  // namespace
}  // namespace samovar
