// The Exchange stream's messages, for both ends: protobuf's wire format as parameter.proto describes it, without the
// copies that generated code makes of chunks' payloads.
//
//   worker                                            server
//   EncodeExchangeRequest(head, pushed chunks)   ->   ReceivedRequest::Parse
//   ReceivedResponse::Parse                      <-   EncodeExchangeResponse(head, chunks by EncodeWeights)
//
// A head is the message without its chunks' payloads; generated code writes and reads it, so that parameter.proto alone
// defines its fields. Only payloads are written and read here, in place: once into the slices that gRPC sends, and once
// from the slices that gRPC received to where they are used. Peers that use generated code see no difference.
//
// The slices do not point at a worker's gradients themselves: gRPC holds slices until the kernel has taken their bytes,
// which after a broken connection may be any time, and then the next iteration would have to wait; the copy costs 1 %
// of LeNet's iteration.
//
// Thread safety: classes as a standard container; functions are stateless.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

// One chunk of a push.
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

// The request with these for its pushes. The gradients may change after the return. REQUIRES: the head has no push
grpc::ByteBuffer EncodeExchangeRequest(const v1::ExchangeRequest& head, std::span<const PushedChunk> push);

// One entry of ExchangeResponse.weights as it is sent: `chunk`, whose payload is empty, with a payload of so many
// bytes, which `write` puts at the given place.
grpc::Slice EncodeWeights(const v1::ChunkData& chunk, uint64_t payload_bytes,
                          absl::FunctionRef<void(char* payload)> write);

// The response with these for its weights, in order. REQUIRES: the head has no weights
grpc::ByteBuffer EncodeExchangeResponse(const v1::ExchangeResponse& head, std::span<const grpc::Slice> weights);

// The payloads of a received message's chunks, where they lie in its slices.
class ReceivedPayloads {
 public:
  // The size of the whole message.
  uint64_t bytes() const { return bytes_; }
  uint64_t payload_bytes(int chunk) const { return payloads_[static_cast<size_t>(chunk)].bytes; }
  // The payload's bytes where they lie or, if they lie in pieces or not at a float's boundary, their copy in `scratch`.
  std::span<const char> Payload(int chunk, std::vector<char>* scratch) const;
  // Writes payload_bytes(chunk) bytes at `to`.
  void CopyPayload(int chunk, void* to) const;
  // Frees the buffers that gRPC received; from then on no payload may be asked for.
  void DropPayloads() { slices_.clear(); }

 protected:
  // The fields of a message that CutPayloads looks for, and its limits.
  struct Shape {
    // The tag of the field that has the chunks.
    uint32_t chunks_tag = 0;
    size_t max_chunks = 0;
    // The tag of another field of messages that there may be only so many of; 0: none.
    uint32_t counted_tag = 0;
    // The bound of all but the payloads.
    size_t max_head_bytes = SIZE_MAX;
  };
  enum class Cut { kOk, kGarbage, kTooMuch };

  // Takes the buffer's slices, finds the payloads, and puts all else, a serialised head, into *head. kGarbage: a field
  // does not end where it should.
  Cut CutPayloads(const Shape& shape, grpc::ByteBuffer* buffer, std::string* head);
  size_t chunks() const { return payloads_.size(); }

 private:
  struct Place {
    uint64_t begin = 0;
    uint64_t bytes = 0;
  };
  // The slice that has this byte of the message.
  size_t SliceAt(uint64_t byte) const;

  uint64_t bytes_ = 0;
  std::vector<Place> payloads_;
  std::vector<grpc::Slice> slices_;
  // Where each slice begins in the message.
  std::vector<uint64_t> begins_;
};

class ReceivedRequest : public ReceivedPayloads {
 public:
  // Takes the buffer's slices. INVALID_ARGUMENT: not an ExchangeRequest, or one with more beside its payloads than a
  // request may have.
  absl::Status Parse(grpc::ByteBuffer* buffer);
  // Its pushes have no payload; that of push(i) is payload i.
  const v1::ExchangeRequest& head() const { return head_; }

 private:
  v1::ExchangeRequest head_;
};

class ReceivedResponse : public ReceivedPayloads {
 public:
  // Takes the buffer's slices. DATA_LOSS: not an ExchangeResponse, or one with more than `max_chunks` chunks.
  absl::Status Parse(grpc::ByteBuffer* buffer, size_t max_chunks);
  // Its weights have no payload; that of weights(i) is payload i.
  const v1::ExchangeResponse& head() const { return head_; }

  // Decodes each chunk's payload to `destination_of` that chunk. REQUIRES: the encodings are known, and the payloads as
  // long as the destinations' floats are in them
  void DecodeWeights(absl::FunctionRef<std::span<float>(uint32_t chunk)> destination_of) const;

 private:
  v1::ExchangeResponse head_;
};

}  // namespace samovar
