// The Exchange stream's messages without the copies that generated code makes of payloads: a request's payloads stay in
// the slices that gRPC received, a response's are written once, into the slices that gRPC sends. All other fields go
// through generated code, so that parameter.proto alone says what they are.
//
// Thread safety: as a standard container; the functions are stateless.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

class ReceivedRequest {
 public:
  // Takes the buffer's slices. INVALID_ARGUMENT: not an ExchangeRequest.
  absl::Status Parse(grpc::ByteBuffer* buffer);

  // Its pushes have no payload; that of push(i) is payload i.
  const v1::ExchangeRequest& message() const { return message_; }
  // The size of the whole message.
  uint64_t bytes() const { return bytes_; }
  uint64_t payload_bytes(int push) const { return payloads_[static_cast<size_t>(push)].bytes; }
  // The payload's bytes where they lie in the message or, if they lie in pieces or not at a float's boundary, their
  // copy in `scratch`.
  std::span<const char> Bytes(int push, std::vector<char>* scratch) const;
  // Frees what gRPC received; from then on no payload may be asked for.
  void DropPayloads() { slices_.clear(); }

 private:
  struct Payload {
    uint64_t begin = 0;
    uint64_t bytes = 0;
  };

  uint64_t bytes_ = 0;
  v1::ExchangeRequest message_;
  std::vector<Payload> payloads_;
  std::vector<grpc::Slice> slices_;
  // Where each slice begins in the message.
  std::vector<uint64_t> begins_;
};

// One entry of ExchangeResponse.weights as it is sent: `data`, whose payload is empty, with a payload of so many bytes
// that `write` puts where it is told.
grpc::Slice EncodeWeights(const v1::ChunkData& data, uint64_t payload_bytes,
                          absl::FunctionRef<void(char* payload)> write);

// The response, which has no weights, with these for its weights, in order.
grpc::ByteBuffer EncodeResponse(const v1::ExchangeResponse& response, std::span<const grpc::Slice> weights);

}  // namespace samovar
