#include "server/store/exchange_wire.h"

#include <google/protobuf/stubs/logging.h>

#include <cstring>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "tests/support/byte_buffers.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

std::string PayloadOf(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

v1::ExchangeRequest MakeRequest() {
  v1::ExchangeRequest request;
  request.set_sequence(300);
  request.set_job_id("job-1");
  request.set_epoch(UINT64_MAX);
  request.set_iteration(7);
  for (uint32_t chunk : {0u, 200u}) {
    v1::ChunkData* data = request.add_push();
    data->set_chunk(chunk);
    data->set_version(uint64_t{1} << 40);
    data->set_payload(PayloadOf(std::vector<float>(50 + chunk, 0.25f * static_cast<float>(chunk + 1))));
  }
  for (uint32_t chunk : {3u, 1u << 20}) request.add_pull(chunk);
  request.set_frozen(true);
  request.set_frozen_iteration(500);
  request.set_opening(uint64_t{3} << 32 | 1);
  return request;
}

TEST_CASE("a request that generated code wrote is received without its payloads, however it is cut into slices") {
  const v1::ExchangeRequest request = MakeRequest();
  const std::string bytes = request.SerializeAsString();
  v1::ExchangeRequest rest = request;
  for (v1::ChunkData& data : *rest.mutable_push()) data.clear_payload();
  for (size_t piece : {size_t{1}, size_t{3}, size_t{64}, size_t{333}, bytes.size()}) {
    grpc::ByteBuffer buffer = BufferOf(bytes, piece);
    ReceivedRequest received;
    REQUIRE_OK(received.Parse(&buffer));
    CHECK(received.message().SerializeAsString() == rest.SerializeAsString());
    for (int i = 0; i < request.push_size(); ++i) {
      CHECK(received.payload_bytes(i) == request.push(i).payload().size());
      std::vector<char> scratch;
      const std::span<const char> payload = received.Bytes(i, &scratch);
      CHECK(std::string(payload.data(), payload.size()) == request.push(i).payload());
      CHECK(reinterpret_cast<uintptr_t>(payload.data()) % alignof(float) == 0);
    }
  }
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
  CHECK(received.Bytes(0, &scratch).empty());
  CHECK(received.payload_bytes(1) == 6);
  CHECK(received.Bytes(1, &scratch).size() == 6);
}

TEST_CASE("of several payloads of a push the last counts, as in generated code") {
  v1::ChunkData first;
  first.set_payload(PayloadOf({1, 2}));
  v1::ChunkData second;
  second.set_payload(PayloadOf({3}));
  const std::string push = first.SerializeAsString() + second.SerializeAsString();
  const std::string bytes = std::string("\x2a") + static_cast<char>(push.size()) + push;
  v1::ExchangeRequest generated;
  REQUIRE(generated.ParseFromString(bytes));
  REQUIRE(generated.push(0).payload() == PayloadOf({3}));
  grpc::ByteBuffer buffer = BufferOf(bytes, 100);
  ReceivedRequest received;
  REQUIRE_OK(received.Parse(&buffer));
  std::vector<char> scratch;
  const std::span<const char> payload = received.Bytes(0, &scratch);
  CHECK(std::string(payload.data(), payload.size()) == PayloadOf({3}));
}

TEST_CASE("a request that breaks off anywhere is refused or read as generated code reads it") {
  const std::string bytes = MakeRequest().SerializeAsString();
  for (size_t length = 0; length < bytes.size(); ++length) {
    const std::string part = bytes.substr(0, length);
    v1::ExchangeRequest generated;
    grpc::ByteBuffer buffer = BufferOf(part, 50);
    ReceivedRequest received;
    CHECK(received.Parse(&buffer).ok() == generated.ParseFromString(part));
  }
}

TEST_CASE("garbage is refused, and never read beyond its end") {
  // It complains on stderr of each text that is not UTF-8.
  const google::protobuf::LogSilencer silencer;
  const std::string good = MakeRequest().SerializeAsString();
  const uint64_t key = DeriveKey(RandomStream::kFiller, {11});
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    std::string bytes = good;
    for (uint64_t change = 0; change < 1 + seed % 4; ++change) {
      const auto random = Philox(key, seed, change);
      bytes[random[0] % 120 % bytes.size()] = static_cast<char>(random[1]);
    }
    grpc::ByteBuffer buffer = BufferOf(bytes, 40);
    ReceivedRequest received;
    if (!received.Parse(&buffer).ok()) continue;
    for (int i = 0; i < received.message().push_size(); ++i) {
      std::vector<char> scratch;
      CHECK(received.Bytes(i, &scratch).size() == received.payload_bytes(i));
    }
  }
}

TEST_CASE("an encoded response is what generated code reads") {
  v1::ExchangeResponse response;
  response.set_sequence(300);
  response.set_applied(2);
  v1::ExchangeResponse expected = response;
  std::vector<grpc::Slice> weights;
  for (uint32_t chunk : {0u, 300u}) {
    v1::ChunkData data;
    data.set_chunk(chunk);
    data.set_version(uint64_t{1} << 50);
    const std::vector<float> values(10 * chunk + 7, static_cast<float>(chunk));
    weights.push_back(EncodeWeights(data, values.size() * sizeof(float), [&](char* payload) {
      std::memcpy(payload, values.data(), values.size() * sizeof(float));
    }));
    data.set_payload(PayloadOf(values));
    *expected.add_weights() = data;
  }
  v1::ExchangeResponse read;
  REQUIRE(read.ParseFromString(BytesOf(EncodeResponse(response, weights))));
  CHECK(read.SerializeAsString() == expected.SerializeAsString());
  REQUIRE(read.ParseFromString(BytesOf(EncodeResponse(response, {}))));
  CHECK(read.SerializeAsString() == response.SerializeAsString());
}

}  // namespace
}  // namespace samovar
