#include "common/parameters/exchange_format.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpc/slice.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/parameters/encoding.h"

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
constexpr uint32_t kWeightsTag = DelimitedTag(ExchangeResponse::kWeightsFieldNumber);
constexpr uint32_t kSquaresTag = DelimitedTag(ExchangeResponse::kSquaresFieldNumber);
constexpr uint32_t kPayloadTag = DelimitedTag(ChunkData::kPayloadFieldNumber);

// Bytes that a request may have beside its payloads: as many chunks as there is room for take a third.
constexpr size_t kMaxRequestHeadBytes = 2 << 20;
constexpr size_t kMaxPushes = 1 << 16;
// A larger text does not help a reader.
constexpr size_t kMaxMessageText = 4096;

// --- one chunk: its writer and its reader ---

// Bytes of a ChunkData with such fields and such a payload.
size_t ChunkBytes(const ChunkData& fields, uint64_t payload_bytes) {
  return fields.ByteSizeLong() + CodedOutputStream::VarintSize32(kPayloadTag) +
         CodedOutputStream::VarintSize64(payload_bytes) + payload_bytes;
}

// The same, as an entry of a list of chunks.
size_t EntryBytes(uint32_t tag, const ChunkData& fields, uint64_t payload_bytes) {
  const size_t bytes = ChunkBytes(fields, payload_bytes);
  return CodedOutputStream::VarintSize32(tag) + CodedOutputStream::VarintSize64(bytes) + bytes;
}

// Writes such an entry but for its payload; returns the place of the payload.
uint8_t* WriteEntry(uint32_t tag, const ChunkData& fields, uint64_t payload_bytes, uint8_t* to) {
  to = CodedOutputStream::WriteTagToArray(tag, to);
  to = CodedOutputStream::WriteVarint64ToArray(ChunkBytes(fields, payload_bytes), to);
  to = fields.SerializeWithCachedSizesToArray(to);
  to = CodedOutputStream::WriteTagToArray(kPayloadTag, to);
  return CodedOutputStream::WriteVarint64ToArray(payload_bytes, to);
}

// Reads such an entry behind its tag: copies it to `out`, tag and all, but for its payload; gives its place. An absent
// payload is an empty one; of several the last counts, as in generated code.
bool ReadEntry(uint32_t tag, CodedInputStream* in, uint64_t* payload_begin, uint64_t* payload_bytes,
               CodedOutputStream* out) {
  int length = 0;
  if (!in->ReadVarintSizeAsInt(&length)) return false;
  const CodedInputStream::Limit outer = in->PushLimit(length);
  std::string fields;
  {
    StringOutputStream string(&fields);
    CodedOutputStream kept(&string);
    while (in->BytesUntilLimit() > 0) {
      const uint32_t field = in->ReadTag();
      if (field != kPayloadTag) {
        if (field == 0 || !WireFormatLite::SkipField(in, field, &kept)) return false;
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
  out->WriteTag(tag);
  out->WriteVarint32(static_cast<uint32_t>(fields.size()));
  out->WriteString(fields);
  return true;
}

ChunkData FieldsOf(const PushedChunk& push) {
  ChunkData fields;
  fields.set_chunk(push.chunk);
  fields.set_encoding(push.encoding);
  fields.set_version(push.version);
  return fields;
}

size_t PayloadBytes(const PushedChunk& push) {
  return push.payload.empty() ? EncodedBytes(push.encoding, push.gradient.size()) : push.payload.size();
}

void WritePayload(const PushedChunk& push, uint8_t* to) {
  if (push.payload.empty()) return EncodeFloats(push.encoding, push.gradient, push.key, reinterpret_cast<char*>(to));
  std::memcpy(to, push.payload.data(), push.payload.size());
}

absl::Status NotAResponse(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the answer is not an ExchangeResponse: ", what));
}

}  // namespace

// --- requests ---

grpc::ByteBuffer EncodeExchangeRequest(const v1::ExchangeRequest& head, std::span<const PushedChunk> push) {
  size_t bytes = head.ByteSizeLong();
  for (const PushedChunk& chunk : push) bytes += EntryBytes(kPushTag, FieldsOf(chunk), PayloadBytes(chunk));
  const grpc_slice raw = grpc_slice_malloc(bytes);
  grpc_slice slice = raw;
  // Fields of a message may come in any order.
  uint8_t* to = head.SerializeWithCachedSizesToArray(GRPC_SLICE_START_PTR(slice));
  for (const PushedChunk& chunk : push) {
    const size_t payload_bytes = PayloadBytes(chunk);
    to = WriteEntry(kPushTag, FieldsOf(chunk), payload_bytes, to);
    WritePayload(chunk, to);
    to += payload_bytes;
  }
  const grpc::Slice owned(slice, grpc::Slice::STEAL_REF);
  return grpc::ByteBuffer(&owned, 1);
}

absl::Status ReceivedRequest::Parse(grpc::ByteBuffer* buffer) {
  const Shape shape = {.chunks_tag = kPushTag, .max_chunks = kMaxPushes, .max_head_bytes = kMaxRequestHeadBytes};
  std::string rest;
  const Cut cut = CutPayloads(shape, buffer, &rest);
  if (cut == Cut::kTooMuch) {
    return absl::InvalidArgumentError(absl::StrCat("the request has more than ", kMaxPushes, " pushes, or more than ",
                                                   kMaxRequestHeadBytes, " bytes beside their payloads"));
  }
  const bool good =
      cut == Cut::kOk && head_.ParseFromString(rest) && static_cast<size_t>(head_.push_size()) == chunks();
  return good ? absl::OkStatus() : absl::InvalidArgumentError("the request is not an ExchangeRequest");
}

// --- responses ---

grpc::Slice EncodeWeights(const v1::ChunkData& chunk, uint64_t payload_bytes,
                          absl::FunctionRef<void(char* payload)> write) {
  const grpc_slice raw = grpc_slice_malloc(EntryBytes(kWeightsTag, chunk, payload_bytes));
  grpc_slice slice = raw;
  write(reinterpret_cast<char*>(WriteEntry(kWeightsTag, chunk, payload_bytes, GRPC_SLICE_START_PTR(slice))));
  return grpc::Slice(slice, grpc::Slice::STEAL_REF);
}

grpc::ByteBuffer EncodeExchangeResponse(const v1::ExchangeResponse& head, std::span<const grpc::Slice> weights) {
  std::vector<grpc::Slice> slices;
  slices.reserve(weights.size() + 1);
  slices.emplace_back(head.SerializeAsString());
  slices.insert(slices.end(), weights.begin(), weights.end());
  return grpc::ByteBuffer(slices.data(), slices.size());
}

absl::Status ReceivedResponse::Parse(grpc::ByteBuffer* buffer, size_t max_chunks) {
  const Shape shape = {.chunks_tag = kWeightsTag, .max_chunks = max_chunks, .counted_tag = kSquaresTag};
  std::string rest;
  const Cut cut = CutPayloads(shape, buffer, &rest);
  if (cut == Cut::kGarbage) return NotAResponse("it breaks off, or has a field that is not valid");
  if (cut == Cut::kOk && !head_.ParseFromString(rest)) return NotAResponse("a field of it has another form");
  if (cut == Cut::kTooMuch || static_cast<size_t>(head_.dropped_size()) > max_chunks)
    return NotAResponse(absl::StrCat("it has more than ", max_chunks, " chunks"));
  if (static_cast<size_t>(head_.weights_size()) != chunks()) return NotAResponse("its weights are in pieces");
  if (head_.message().size() > kMaxMessageText) head_.mutable_message()->resize(kMaxMessageText);
  return absl::OkStatus();
}

void ReceivedResponse::DecodeWeights(absl::FunctionRef<std::span<float>(uint32_t chunk)> destination_of) const {
  std::vector<char> scratch;
  for (int i = 0; i < head_.weights_size(); ++i) {
    const std::span<float> to = destination_of(head_.weights(i).chunk());
    if (head_.weights(i).encoding() == v1::ENCODING_FLOAT32) {
      CopyPayload(i, to.data());
    } else {
      DecodeFloats(head_.weights(i).encoding(), Payload(i, &scratch).data(), to);
    }
  }
}

// --- payloads of both ---

ReceivedPayloads::Cut ReceivedPayloads::CutPayloads(const Shape& shape, grpc::ByteBuffer* buffer, std::string* head) {
  payloads_.clear();
  slices_.clear();
  begins_.clear();
  size_t counted = 0;
  {
    grpc::ProtoBufferReader reader(buffer);
    if (!reader.status().ok()) return Cut::kGarbage;
    CodedInputStream in(&reader);
    StringOutputStream string(head);
    CodedOutputStream out(&string);
    while (const uint32_t tag = in.ReadTag()) {
      if (tag == shape.counted_tag && ++counted > shape.max_chunks) return Cut::kTooMuch;
      if (tag == shape.chunks_tag) {
        Place place;
        if (!ReadEntry(tag, &in, &place.begin, &place.bytes, &out)) return Cut::kGarbage;
        if (payloads_.size() == shape.max_chunks) return Cut::kTooMuch;
        payloads_.push_back(place);
      } else if (!WireFormatLite::SkipField(&in, tag, &out)) {
        return Cut::kGarbage;
      }
    }
    // ReadTag also returns 0 for an invalid tag.
    if (!in.ConsumedEntireMessage()) return Cut::kGarbage;
  }
  if (head->size() > shape.max_head_bytes) return Cut::kTooMuch;
  bytes_ = buffer->Length();
  if (!buffer->Dump(&slices_).ok()) return Cut::kGarbage;
  uint64_t begin = 0;
  for (const grpc::Slice& slice : slices_) {
    begins_.push_back(begin);
    begin += slice.size();
  }
  return Cut::kOk;
}

size_t ReceivedPayloads::SliceAt(uint64_t byte) const {
  return static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), byte) - begins_.begin()) - 1;
}

std::span<const char> ReceivedPayloads::Payload(int chunk, std::vector<char>* scratch) const {
  const Place& place = payloads_[static_cast<size_t>(chunk)];
  if (place.bytes == 0) return {};
  const size_t slice = SliceAt(place.begin);
  const uint64_t offset = place.begin - begins_[slice];
  const uint8_t* const first = slices_[slice].begin() + offset;
  if (offset + place.bytes <= slices_[slice].size() && reinterpret_cast<uintptr_t>(first) % alignof(float) == 0) {
    return {reinterpret_cast<const char*>(first), place.bytes};
  }
  scratch->resize(place.bytes);
  CopyPayload(chunk, scratch->data());
  return *scratch;
}

void ReceivedPayloads::CopyPayload(int chunk, void* to) const {
  const Place& place = payloads_[static_cast<size_t>(chunk)];
  if (place.bytes == 0) return;
  size_t slice = SliceAt(place.begin);
  uint64_t offset = place.begin - begins_[slice];
  char* next = static_cast<char*>(to);
  for (uint64_t left = place.bytes; left > 0; ++slice, offset = 0) {
    const uint64_t bytes = std::min<uint64_t>(left, slices_[slice].size() - offset);
    std::memcpy(next, slices_[slice].begin() + offset, bytes);
    next += bytes;
    left -= bytes;
  }
}

}  // namespace samovar
