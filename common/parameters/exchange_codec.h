// The Exchange stream's messages, coded by hand: protobuf's wire format as parameter.proto describes it, without the
// copies that generated code makes of `bytes`. A gradient is copied once, into the buffer that gRPC sends; weights
// once, from the buffers that gRPC received to where they are used. Generated code on the other side sees no
// difference.
//
// Not slices that point at the gradients themselves: gRPC holds them until the kernel has taken the bytes, which after
// a broken connection may be any time, and then the next iteration would have to wait; the copy costs 1 % of LeNet's
// iteration.
//
// Thread safety: stateless.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/parameters/encoding.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

// The fields of an ExchangeRequest that stand once.
struct ExchangeHead {
  uint64_t sequence = 0;
  std::string job_id;
  uint64_t epoch = 0;
  uint64_t iteration = 0;
  bool frozen = false;
  uint64_t frozen_iteration = 0;
  uint32_t vector = 0;
  bool waits = false;
  uint64_t watermark = 0;
  uint32_t part = 0;
  v1::Encoding pull_encoding = v1::ENCODING_FLOAT32;
  bool apply = false;
  double norm = 0;
  uint32_t iterations = 0;
  uint64_t opening = 0;
};

struct PushedChunk {
  uint32_t chunk = 0;
  uint64_t version = 0;
  std::span<const float> gradient;
  v1::Encoding encoding = v1::ENCODING_FLOAT32;
  // Seeds the rounding (encoding.h).
  uint64_t key = 0;
  // If not empty, the payload itself, in place of the gradient.
  std::span<const char> payload = {};
};

// An ExchangeRequest; `push`, `pull` and `squares` are its lists. The gradients may change after the return.
grpc::ByteBuffer EncodeExchangeRequest(const ExchangeHead& head, std::span<const PushedChunk> push,
                                       std::span<const uint32_t> pull, std::span<const uint32_t> squares = {});

// An ExchangeResponse; its payloads stay in the buffer.
struct ExchangeAnswer {
  struct Weights {
    uint32_t chunk = 0;
    // As v1::Encoding; any number.
    int32_t encoding = 0;
    uint64_t version = 0;
    // Where the payload lies in the message, in bytes.
    int payload_begin = 0;
    int payload_bytes = 0;
  };
  struct Squares {
    uint32_t chunk = 0;
    std::vector<double> sums;
  };
  uint64_t sequence = 0;
  int32_t code = 0;
  std::string message;
  uint32_t applied = 0;
  uint32_t duplicates = 0;
  bool not_yet = false;
  std::vector<Weights> weights;
  // Chunks.
  std::vector<uint32_t> dropped;
  std::vector<Squares> squares;
};

// Replaces *answer. DATA_LOSS: not an ExchangeResponse, or one with more than `max_chunks` chunks.
absl::Status ParseExchangeResponse(grpc::ByteBuffer* response, size_t max_chunks, ExchangeAnswer* answer);

// Decodes the payload of answer.weights[i] to destinations[i]. REQUIRES: the answer was parsed from this response, the
// encodings are known, and the payloads as long as the destinations' floats are in them.
absl::Status DecodePayloads(grpc::ByteBuffer* response, const ExchangeAnswer& answer,
                            std::span<const std::span<float>> destinations);

}  // namespace samovar
