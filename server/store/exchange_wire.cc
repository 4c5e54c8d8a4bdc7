#include "server/store/exchange_wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpc/slice.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;
using v1::ChunkData;
using v1::ExchangeRequest;
using v1::ExchangeResponse;

static_assert(std::endian::native == std::endian::little, "payloads are little-endian and used in place");

constexpr uint32_t DelimitedTag(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}
constexpr uint32_t kPushTag = DelimitedTag(ExchangeRequest::kPushFieldNumber);
constexpr uint32_t kPayloadTag = DelimitedTag(ChunkData::kPayloadFieldNumber);
constexpr uint32_t kWeightsTag = DelimitedTag(ExchangeResponse::kWeightsFieldNumber);

// What a request may have beside its payloads: as many chunks as their payloads leave room for have a third of it.
constexpr size_t kMaxHeadBytes = 2 << 20;
constexpr size_t kMaxPushes = 1 << 16;

absl::Status Garbage() { return absl::InvalidArgumentError("the request is not an ExchangeRequest"); }

absl::Status TooMuch() {
  return absl::InvalidArgumentError(absl::StrCat("the request has more than ", kMaxPushes, " pushes, or more than ",
                                                 kMaxHeadBytes, " bytes beside their payloads"));
}

// Copies a push but for its payload, whose place it tells. An absent payload is an empty one; of several the last
// counts, as in generated code.
bool CopyPush(CodedInputStream* in, uint64_t* payload_begin, uint64_t* payload_bytes, CodedOutputStream* out) {
  int length = 0;
  if (!in->ReadVarintSizeAsInt(&length)) return false;
  const CodedInputStream::Limit outer = in->PushLimit(length);
  std::string rest;
  {
    StringOutputStream string(&rest);
    CodedOutputStream fields(&string);
    while (in->BytesUntilLimit() > 0) {
      const uint32_t tag = in->ReadTag();
      if (tag != kPayloadTag) {
        if (tag == 0 || !WireFormatLite::SkipField(in, tag, &fields)) return false;
        continue;
      }
      int bytes = 0;
      if (!in->ReadVarintSizeAsInt(&bytes)) return false;
      *payload_begin = static_cast<uint64_t>(in->CurrentPosition());
      *payload_bytes = static_cast<uint64_t>(bytes);
      if (!in->Skip(bytes)) return false;
    }
  }
  in->PopLimit(outer);
  out->WriteTag(kPushTag);
  out->WriteVarint32(static_cast<uint32_t>(rest.size()));
  out->WriteString(rest);
  return true;
}

}  // namespace

absl::Status ReceivedRequest::Parse(grpc::ByteBuffer* buffer) {
  payloads_.clear();
  slices_.clear();
  begins_.clear();
  std::string rest;
  {
    grpc::ProtoBufferReader reader(buffer);
    if (!reader.status().ok()) return absl::InvalidArgumentError("the request cannot be decompressed");
    CodedInputStream in(&reader);
    StringOutputStream string(&rest);
    CodedOutputStream out(&string);
    while (const uint32_t tag = in.ReadTag()) {
      if (tag == kPushTag) {
        Payload payload;
        if (!CopyPush(&in, &payload.begin, &payload.bytes, &out)) return Garbage();
        if (payloads_.size() == kMaxPushes) return TooMuch();
        payloads_.push_back(payload);
      } else if (!WireFormatLite::SkipField(&in, tag, &out)) {
        return Garbage();
      }
    }
    // ReadTag also returns 0 for a tag that is none.
    if (!in.ConsumedEntireMessage()) return Garbage();
  }
  if (rest.size() > kMaxHeadBytes) return TooMuch();
  bytes_ = buffer->Length();
  if (!message_.ParseFromString(rest)) return Garbage();
  if (static_cast<size_t>(message_.push_size()) != payloads_.size()) return Garbage();
  if (!buffer->Dump(&slices_).ok()) return Garbage();
  uint64_t begin = 0;
  for (const grpc::Slice& slice : slices_) {
    begins_.push_back(begin);
    begin += slice.size();
  }
  return absl::OkStatus();
}

std::span<const char> ReceivedRequest::Bytes(int push, std::vector<char>* scratch) const {
  const Payload& payload = payloads_[static_cast<size_t>(push)];
  if (payload.bytes == 0) return {};
  size_t slice =
      static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), payload.begin) - begins_.begin()) - 1;
  uint64_t offset = payload.begin - begins_[slice];
  const uint8_t* const first = slices_[slice].begin() + offset;
  if (offset + payload.bytes <= slices_[slice].size() && reinterpret_cast<uintptr_t>(first) % alignof(float) == 0) {
    return {reinterpret_cast<const char*>(first), payload.bytes};
  }
  scratch->resize(payload.bytes);
  char* to = scratch->data();
  for (uint64_t left = payload.bytes; left > 0; ++slice, offset = 0) {
    const uint64_t bytes = std::min<uint64_t>(left, slices_[slice].size() - offset);
    std::memcpy(to, slices_[slice].begin() + offset, bytes);
    to += bytes;
    left -= bytes;
  }
  return *scratch;
}

grpc::Slice EncodeWeights(const v1::ChunkData& data, uint64_t payload_bytes,
                          absl::FunctionRef<void(char* payload)> write) {
  std::string head;
  {
    const std::string fields = data.SerializeAsString();
    const uint64_t payload_head =
        CodedOutputStream::VarintSize32(kPayloadTag) + CodedOutputStream::VarintSize64(payload_bytes);
    StringOutputStream string(&head);
    CodedOutputStream out(&string);
    out.WriteTag(kWeightsTag);
    out.WriteVarint64(fields.size() + payload_head + payload_bytes);
    out.WriteString(fields);
    out.WriteTag(kPayloadTag);
    out.WriteVarint64(payload_bytes);
  }
  const grpc_slice raw = grpc_slice_malloc(head.size() + payload_bytes);
  grpc_slice slice = raw;
  char* const begin = reinterpret_cast<char*>(GRPC_SLICE_START_PTR(slice));
  std::memcpy(begin, head.data(), head.size());
  write(begin + head.size());
  return grpc::Slice(slice, grpc::Slice::STEAL_REF);
}

grpc::ByteBuffer EncodeResponse(const v1::ExchangeResponse& response, std::span<const grpc::Slice> weights) {
  // Fields of a message may come in any order.
  std::vector<grpc::Slice> slices;
  slices.reserve(weights.size() + 1);
  slices.emplace_back(response.SerializeAsString());
  slices.insert(slices.end(), weights.begin(), weights.end());
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace samovar
