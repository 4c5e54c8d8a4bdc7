#include "common/parameters/exchange_format.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/grpcpp.h>

#include <cstring>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/parameters/encoding.h"
#include "tests/support/byte_buffers.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

std::string PayloadOf(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

// All fields of a request but its pushes, none of them 0.
v1::ExchangeRequest MakeHead() {
  v1::ExchangeRequest head;
  head.set_sequence(129);
  head.set_job_id("job-1");
  head.set_epoch(UINT64_MAX);
  head.set_iteration(1);
  for (const uint32_t chunk : {0u, 1u, 127u, 128u, UINT32_MAX}) head.add_pull(chunk);
  head.set_frozen(true);
  head.set_frozen_iteration(500);
  head.set_vector(2);
  head.set_waits(true);
  head.set_watermark(300);
  head.set_part(7);
  head.set_pull_encoding(v1::ENCODING_BFLOAT16);
  for (const uint32_t chunk : {5u, 1000u}) head.add_squares(chunk);
  head.set_apply(true);
  head.set_norm(0.1);
  head.set_iterations(8);
  head.set_opening(uint64_t{3} << 32 | 1);
  return head;
}

v1::ExchangeRequest MakeRequest() {
  v1::ExchangeRequest request = MakeHead();
  for (uint32_t chunk : {0u, 200u}) {
    v1::ChunkData* data = request.add_push();
    data->set_chunk(chunk);
    data->set_version(uint64_t{1} << 40);
    data->set_payload(PayloadOf(std::vector<float>(50 + chunk, 0.25f * static_cast<float>(chunk + 1))));
  }
  return request;
}

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
    data->set_payload(PayloadOf(std::vector<float>(100 + chunk, 0.25f * static_cast<float>(chunk + 1))));
  }
  return response;
}

// A message within a message, behind its tag and its length, which is below 128.
std::string Entry(char tag, const std::string& message) {
  std::string entry(1, tag);
  entry.push_back(static_cast<char>(message.size()));
  entry.append(message);
  return entry;
}

std::string PayloadIn(const ReceivedPayloads& received, int chunk) {
  std::vector<char> scratch;
  const std::span<const char> payload = received.Payload(chunk, &scratch);
  return std::string(payload.begin(), payload.end());
}

grpc::Slice WeightsOf(const v1::ChunkData& data) {
  v1::ChunkData fields = data;
  fields.clear_payload();
  return EncodeWeights(fields, data.payload().size(),
                       [&](char* payload) { std::memcpy(payload, data.payload().data(), data.payload().size()); });
}

// --- what one end writes ---

TEST_CASE("what a worker writes is what generated code reads, field by field, and so is what the server reads") {
  const std::vector<float> first(5, 1.5f);
  const std::vector<float> second(200, -2.0f);
  const std::vector<char> sparse = {'a', 'b', 'c'};
  const std::vector<PushedChunk> push = {{0, 0, first},
                                         {300, uint64_t{1} << 50, second},
                                         {1, 1, second, v1::ENCODING_INT8_BLOCKS, 77},
                                         {2, 1, {}, v1::ENCODING_SPARSE, 0, sparse}};
  std::string encoded(EncodedBytes(v1::ENCODING_INT8_BLOCKS, second.size()), 0);
  EncodeFloats(v1::ENCODING_INT8_BLOCKS, second, 77, encoded.data());
  const std::vector<std::string> payloads = {PayloadOf(first), PayloadOf(second), encoded, "abc"};
  v1::ExchangeRequest rest = MakeHead();
  for (const PushedChunk& chunk : push) {
    v1::ChunkData* fields = rest.add_push();
    fields->set_chunk(chunk.chunk);
    fields->set_version(chunk.version);
    fields->set_encoding(chunk.encoding);
  }
  v1::ExchangeRequest expected = rest;
  for (int i = 0; i < 4; ++i) expected.mutable_push(i)->set_payload(payloads[static_cast<size_t>(i)]);

  const std::string bytes = BytesOf(EncodeExchangeRequest(MakeHead(), push));
  v1::ExchangeRequest generated;
  REQUIRE(generated.ParseFromString(bytes));
  CHECK(generated.SerializeAsString() == expected.SerializeAsString());
  CHECK(bytes.size() == expected.ByteSizeLong());

  grpc::ByteBuffer buffer = BufferOf(bytes, 64);
  ReceivedRequest received;
  REQUIRE_OK(received.Parse(&buffer));
  CHECK(received.head().SerializeAsString() == rest.SerializeAsString());
  for (int i = 0; i < 4; ++i) CHECK(PayloadIn(received, i) == payloads[static_cast<size_t>(i)]);
}

TEST_CASE("a request without pushes is the very bytes that generated code writes") {
  const v1::ExchangeRequest head = MakeHead();
  CHECK(BytesOf(EncodeExchangeRequest(head, {})) == head.SerializeAsString());
}

TEST_CASE("what a server writes is what generated code reads, and so is what the worker reads") {
  const v1::ExchangeResponse expected = MakeResponse();
  v1::ExchangeResponse head = expected;
  head.clear_weights();
  std::vector<grpc::Slice> weights;
  for (const v1::ChunkData& data : expected.weights()) weights.push_back(WeightsOf(data));
  const std::string bytes = BytesOf(EncodeExchangeResponse(head, weights));
  v1::ExchangeResponse generated;
  REQUIRE(generated.ParseFromString(bytes));
  CHECK(generated.SerializeAsString() == expected.SerializeAsString());
  CHECK(bytes.size() == expected.ByteSizeLong());

  grpc::ByteBuffer buffer = EncodeExchangeResponse(head, weights);
  ReceivedResponse received;
  REQUIRE_OK(received.Parse(&buffer, 2));
  v1::ExchangeResponse rest = expected;
  for (v1::ChunkData& data : *rest.mutable_weights()) data.clear_payload();
  CHECK(received.head().SerializeAsString() == rest.SerializeAsString());
  for (int i = 0; i < 2; ++i) CHECK(PayloadIn(received, i) == expected.weights(i).payload());
}

TEST_CASE("a response without weights is the very bytes that generated code writes") {
  v1::ExchangeResponse head;
  head.set_sequence(300);
  head.add_squares()->add_sums(0.5);
  CHECK(BytesOf(EncodeExchangeResponse(head, {})) == head.SerializeAsString());
}

// --- what generated code writes ---

TEST_CASE("a request that generated code wrote is received without its payloads, however it is cut into slices") {
  const v1::ExchangeRequest request = MakeRequest();
  const std::string bytes = request.SerializeAsString();
  v1::ExchangeRequest rest = request;
  for (v1::ChunkData& data : *rest.mutable_push()) data.clear_payload();
  for (size_t piece : {size_t{1}, size_t{3}, size_t{64}, size_t{333}, bytes.size()}) {
    grpc::ByteBuffer buffer = BufferOf(bytes, piece);
    ReceivedRequest received;
    REQUIRE_OK(received.Parse(&buffer));
    CHECK(received.head().SerializeAsString() == rest.SerializeAsString());
    CHECK(received.bytes() == bytes.size());
    for (int i = 0; i < request.push_size(); ++i) {
      CHECK(received.payload_bytes(i) == request.push(i).payload().size());
      std::vector<char> scratch;
      const std::span<const char> payload = received.Payload(i, &scratch);
      CHECK(std::string(payload.data(), payload.size()) == request.push(i).payload());
      CHECK(reinterpret_cast<uintptr_t>(payload.data()) % alignof(float) == 0);
    }
  }
}

TEST_CASE("a response that generated code wrote is received, and its floats decoded, however it is cut into slices") {
  v1::ExchangeResponse response = MakeResponse();
  const std::vector<float> coded(300, -1.5f);
  v1::ChunkData* data = response.add_weights();
  data->set_chunk(9);
  data->set_encoding(v1::ENCODING_BFLOAT16);
  data->mutable_payload()->resize(EncodedBytes(v1::ENCODING_BFLOAT16, coded.size()));
  EncodeFloats(v1::ENCODING_BFLOAT16, coded, 1, data->mutable_payload()->data());
  const std::string bytes = response.SerializeAsString();
  for (size_t piece : {size_t{1}, size_t{3}, size_t{64}, bytes.size()}) {
    grpc::ByteBuffer buffer = BufferOf(bytes, piece);
    ReceivedResponse received;
    REQUIRE_OK(received.Parse(&buffer, 3));
    CHECK(received.head().sequence() == 300);
    CHECK(received.head().code() == 0);
    CHECK(received.head().applied() == 2);
    CHECK(received.head().duplicates() == 1);
    CHECK(received.head().not_yet());
    REQUIRE(received.head().weights_size() == 3);
    CHECK(received.head().weights(0).chunk() == 7);
    CHECK(received.head().weights(0).version() == uint64_t{1} << 40);
    CHECK(received.payload_bytes(0) == 107 * 4);
    std::vector<float> seven(107);
    std::vector<float> zero(100);
    std::vector<float> nine(300);
    received.DecodeWeights([&](uint32_t chunk) {
      return std::span<float>(chunk == 7 ? seven : chunk == 0 ? zero : nine);
    });
    CHECK(seven == std::vector<float>(107, 2.0f));
    CHECK(zero == std::vector<float>(100, 0.25f));
    CHECK(nine == coded);
  }
}

TEST_CASE("a message whose fields come in another order is read as generated code reads it") {
  v1::ExchangeRequest head = MakeHead();
  v1::ExchangeRequest pushes = MakeRequest();
  const google::protobuf::RepeatedPtrField<v1::ChunkData> push = pushes.push();
  pushes.Clear();
  *pushes.mutable_push() = push;
  grpc::ByteBuffer buffer = BufferOf(pushes.SerializeAsString() + head.SerializeAsString(), 50);
  ReceivedRequest request;
  REQUIRE_OK(request.Parse(&buffer));
  CHECK(request.head().norm() == 0.1);
  CHECK(request.head().push_size() == 2);
  CHECK(PayloadIn(request, 1) == push.Get(1).payload());

  // The payload before the other fields of its chunk, and the chunk before the head.
  v1::ChunkData fields;
  fields.set_chunk(7);
  v1::ChunkData payload;
  payload.set_payload(PayloadOf({1, 2}));
  const std::string chunk = payload.SerializeAsString() + fields.SerializeAsString();
  v1::ExchangeResponse sequence;
  sequence.set_sequence(5);
  buffer = BufferOf(Entry('\x22', chunk) + sequence.SerializeAsString(), 3);
  ReceivedResponse response;
  REQUIRE_OK(response.Parse(&buffer, 1));
  CHECK(response.head().sequence() == 5);
  CHECK(response.head().weights(0).chunk() == 7);
  CHECK(PayloadIn(response, 0) == PayloadOf({1, 2}));
}

TEST_CASE("a push without a payload, and one whose payload is no whole number of floats, are received as they are") {
  v1::ExchangeRequest request;
  request.add_push()->set_chunk(4);
  request.add_push()->set_payload("123456");
  grpc::ByteBuffer buffer = BufferOf(request.SerializeAsString(), 100);
  ReceivedRequest received;
  REQUIRE_OK(received.Parse(&buffer));
  std::vector<char> scratch;
  CHECK(received.payload_bytes(0) == 0);
  CHECK(received.Payload(0, &scratch).empty());
  CHECK(received.payload_bytes(1) == 6);
  CHECK(received.Payload(1, &scratch).size() == 6);
}

TEST_CASE("of several payloads of a push the last counts, as in generated code") {
  v1::ChunkData first;
  first.set_payload(PayloadOf({1, 2}));
  v1::ChunkData second;
  second.set_payload(PayloadOf({3}));
  const std::string push = first.SerializeAsString() + second.SerializeAsString();
  const std::string bytes = Entry('\x2a', push);
  v1::ExchangeRequest generated;
  REQUIRE(generated.ParseFromString(bytes));
  REQUIRE(generated.push(0).payload() == PayloadOf({3}));
  grpc::ByteBuffer buffer = BufferOf(bytes, 100);
  ReceivedRequest received;
  REQUIRE_OK(received.Parse(&buffer));
  CHECK(PayloadIn(received, 0) == PayloadOf({3}));
}

TEST_CASE("sums of squares are received, an empty list too, and broken ones are refused") {
  v1::ExchangeResponse response;
  v1::ChunkSquares* squares = response.add_squares();
  squares->set_chunk(7);
  for (const double sum : {0.1, 1e300}) squares->add_sums(sum);
  response.add_squares()->set_chunk(300);
  const std::string bytes = response.SerializeAsString();
  for (size_t piece : {size_t{1}, size_t{5}, bytes.size()}) {
    grpc::ByteBuffer buffer = BufferOf(bytes, piece);
    ReceivedResponse received;
    REQUIRE_OK(received.Parse(&buffer, 2));
    CHECK(received.head().SerializeAsString() == bytes);
    REQUIRE_STATUS(received.Parse(&buffer, 1), absl::StatusCode::kDataLoss, "more than 1 chunks");
  }
  ReceivedResponse received;
  // A list of 3 bytes.
  grpc::ByteBuffer broken = BufferOf(std::string("\x4a\5\x12\3abc", 7), 64);
  REQUIRE_STATUS(received.Parse(&broken, 2), absl::StatusCode::kDataLoss, "not an ExchangeResponse");
}

TEST_CASE("an answer's code and text are received, and nothing of the answer before stays") {
  ReceivedResponse received;
  grpc::ByteBuffer full = BufferOf(MakeResponse().SerializeAsString(), 64);
  REQUIRE_OK(received.Parse(&full, 2));
  v1::ExchangeResponse refusal;
  refusal.set_code(9);
  refusal.set_message("the epoch is old");
  grpc::ByteBuffer buffer = BufferOf(refusal.SerializeAsString(), 64);
  REQUIRE_OK(received.Parse(&buffer, 2));
  CHECK(received.head().SerializeAsString() == refusal.SerializeAsString());
  refusal.set_message(std::string(100'000, 'x'));
  buffer = BufferOf(refusal.SerializeAsString(), 64);
  REQUIRE_OK(received.Parse(&buffer, 2));
  CHECK(received.head().message() == std::string(4096, 'x'));
}

TEST_CASE("chunks whose pushes were dropped are received, and no more of them than there are") {
  v1::ExchangeResponse response;
  for (const uint32_t chunk : {0u, 3u, 200'000u}) response.add_dropped(chunk);
  for (size_t piece : {size_t{1}, size_t{64}}) {
    grpc::ByteBuffer buffer = BufferOf(response.SerializeAsString(), piece);
    ReceivedResponse received;
    REQUIRE_OK(received.Parse(&buffer, 3));
    CHECK(received.head().SerializeAsString() == response.SerializeAsString());
    REQUIRE_STATUS(received.Parse(&buffer, 2), absl::StatusCode::kDataLoss, "more than 2 chunks");
  }
}

TEST_CASE("fields that are not known are skipped, in messages and in their chunks") {
  std::string unknown;
  unknown += std::string("\x78\x05", 2);                // 15: varint
  unknown += std::string("\x79\1\2\3\4\5\6\7\x08", 9);  // 15: 8 bytes
  unknown += std::string("\x7A\3abc", 5);               // 15: text
  unknown += std::string("\x7D\1\2\3\4", 5);            // 15: 4 bytes
  ReceivedResponse response;
  grpc::ByteBuffer buffer = BufferOf(MakeResponse().SerializeAsString() + unknown, 64);
  REQUIRE_OK(response.Parse(&buffer, 2));
  CHECK(response.head().weights_size() == 2);
  v1::ChunkData chunk;
  chunk.set_payload("1234");
  const std::string push = unknown + chunk.SerializeAsString();
  ReceivedRequest request;
  buffer = BufferOf(unknown + Entry('\x2a', push), 7);
  REQUIRE_OK(request.Parse(&buffer));
  CHECK(PayloadIn(request, 0) == "1234");
}

// --- what is no message ---

TEST_CASE("a message that breaks off anywhere is refused or read as generated code reads it") {
  const std::string request = MakeRequest().SerializeAsString();
  for (size_t length = 0; length < request.size(); ++length) {
    const std::string part = request.substr(0, length);
    v1::ExchangeRequest generated;
    grpc::ByteBuffer buffer = BufferOf(part, 50);
    ReceivedRequest received;
    CHECK(received.Parse(&buffer).ok() == generated.ParseFromString(part));
  }
  const std::string response = MakeResponse().SerializeAsString();
  for (size_t length = 0; length < response.size(); ++length) {
    const std::string part = response.substr(0, length);
    v1::ExchangeResponse generated;
    grpc::ByteBuffer buffer = BufferOf(part, 64);
    ReceivedResponse received;
    const absl::Status status = received.Parse(&buffer, 2);
    CHECK(status.ok() == generated.ParseFromString(part));
    if (!status.ok()) REQUIRE_STATUS(status, absl::StatusCode::kDataLoss, "not an ExchangeResponse");
  }
}

TEST_CASE("an answer with more chunks than there are is refused") {
  grpc::ByteBuffer buffer = BufferOf(MakeResponse().SerializeAsString(), 64);
  ReceivedResponse received;
  REQUIRE_STATUS(received.Parse(&buffer, 1), absl::StatusCode::kDataLoss, "more than 1 chunks");
}

// Changes up to four of the first bytes, and cuts the message off if `round` is odd.
std::string Damaged(std::string bytes, uint64_t first, uint64_t round) {
  const uint64_t key = DeriveKey(RandomStream::kFiller, {11});
  for (uint64_t change = 0; change < 1 + round % 4; ++change) {
    const auto random = Philox(key, round, change);
    bytes[random[0] % first % bytes.size()] = static_cast<char>(random[1]);
    if (change == 0 && round % 2 == 1) bytes.resize(1 + random[2] % bytes.size());
  }
  return bytes;
}

TEST_CASE("garbage is refused, and never read beyond its end") {
  // It complains on stderr of each text that is not UTF-8.
  const google::protobuf::LogSilencer silencer;
  const std::string good_request = MakeRequest().SerializeAsString();
  const std::string good_response = MakeResponse().SerializeAsString();
  for (uint64_t round = 0; round < 3000; ++round) {
    const size_t piece = 1 + round % 100;
    grpc::ByteBuffer buffer = BufferOf(Damaged(good_request, 120, round), piece);
    ReceivedRequest request;
    for (int i = 0; request.Parse(&buffer).ok() && i < request.head().push_size(); ++i)
      CHECK(PayloadIn(request, i).size() == request.payload_bytes(i));
    buffer = BufferOf(Damaged(good_response, 40, round), piece);
    ReceivedResponse response;
    for (int i = 0; response.Parse(&buffer, 8).ok() && i < response.head().weights_size(); ++i)
      CHECK(PayloadIn(response, i).size() == response.payload_bytes(i));
  }
}

}  // namespace
}  // namespace samovar
