#include "common/parameters/exchange_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpc/slice.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {
namespace {

using google::protobuf::io::CodedInputStream;
using v1::ChunkData;
using v1::ChunkSquares;
using v1::ExchangeRequest;
using v1::ExchangeResponse;

static_assert(std::endian::native == std::endian::little, "payloads are little-endian and copied as they are");

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5 };

constexpr uint32_t Tag(int field, WireType type) { return static_cast<uint32_t>(field) << 3 | type; }

// A larger text does not help anybody.
constexpr int kMaxMessageText = 4096;

// --- writing ---

size_t VarintBytes(uint64_t value) { return (std::bit_width(value | 1) + 6) / 7; }

// Size of a field with its tag; one with the default value is left out.
size_t VarintFieldBytes(int field, uint64_t value) {
  return value == 0 ? 0 : VarintBytes(Tag(field, kVarint)) + VarintBytes(value);
}

size_t DelimitedFieldBytes(int field, size_t bytes) {
  return VarintBytes(Tag(field, kDelimited)) + VarintBytes(bytes) + bytes;
}

size_t DoubleFieldBytes(int field, double value) {
  return std::bit_cast<uint64_t>(value) == 0 ? 0 : VarintBytes(Tag(field, kFixed64)) + sizeof(double);
}

// A list of numbers; an empty one is left out.
size_t PackedFieldBytes(int field, std::span<const uint32_t> values) {
  size_t bytes = 0;
  for (uint32_t value : values) bytes += VarintBytes(value);
  return values.empty() ? 0 : DelimitedFieldBytes(field, bytes);
}

class Writer {
 public:
  explicit Writer(uint8_t* begin) : next_(begin) {}

  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) *next_++ = static_cast<uint8_t>(value | 0x80);
    *next_++ = static_cast<uint8_t>(value);
  }
  void VarintField(int field, uint64_t value) {
    if (value == 0) return;
    Varint(Tag(field, kVarint));
    Varint(value);
  }
  void DelimitedHead(int field, size_t bytes) {
    Varint(Tag(field, kDelimited));
    Varint(bytes);
  }
  void DoubleField(int field, double value) {
    if (std::bit_cast<uint64_t>(value) == 0) return;
    Varint(Tag(field, kFixed64));
    Bytes(&value, sizeof(value));
  }
  void PackedField(int field, std::span<const uint32_t> values) {
    if (values.empty()) return;
    size_t bytes = 0;
    for (uint32_t value : values) bytes += VarintBytes(value);
    DelimitedHead(field, bytes);
    for (uint32_t value : values) Varint(value);
  }
  void Bytes(const void* data, size_t bytes) {
    if (bytes == 0) return;
    std::memcpy(next_, data, bytes);
    next_ += bytes;
  }
  // So many bytes, which the caller fills.
  char* Room(size_t bytes) {
    next_ += bytes;
    return reinterpret_cast<char*>(next_ - bytes);
  }

 private:
  uint8_t* next_;
};

size_t PayloadBytes(const PushedChunk& push) {
  return push.payload.empty() ? EncodedBytes(push.encoding, push.gradient.size()) : push.payload.size();
}

size_t ChunkBytes(const PushedChunk& push) {
  return VarintFieldBytes(ChunkData::kChunkFieldNumber, push.chunk) +
         VarintFieldBytes(ChunkData::kEncodingFieldNumber, static_cast<uint64_t>(push.encoding)) +
         VarintFieldBytes(ChunkData::kVersionFieldNumber, push.version) +
         DelimitedFieldBytes(ChunkData::kPayloadFieldNumber, PayloadBytes(push));
}

size_t RequestBytes(const ExchangeHead& head, std::span<const PushedChunk> push, std::span<const uint32_t> pull,
                    std::span<const uint32_t> squares) {
  size_t bytes =
      VarintFieldBytes(ExchangeRequest::kSequenceFieldNumber, head.sequence) +
      DelimitedFieldBytes(ExchangeRequest::kJobIdFieldNumber, head.job_id.size()) +
      VarintFieldBytes(ExchangeRequest::kEpochFieldNumber, head.epoch) +
      VarintFieldBytes(ExchangeRequest::kIterationFieldNumber, head.iteration) +
      VarintFieldBytes(ExchangeRequest::kFrozenFieldNumber, head.frozen ? 1 : 0) +
      VarintFieldBytes(ExchangeRequest::kFrozenIterationFieldNumber, head.frozen_iteration) +
      VarintFieldBytes(ExchangeRequest::kVectorFieldNumber, head.vector) +
      VarintFieldBytes(ExchangeRequest::kWaitsFieldNumber, head.waits ? 1 : 0) +
      VarintFieldBytes(ExchangeRequest::kWatermarkFieldNumber, head.watermark) +
      VarintFieldBytes(ExchangeRequest::kPartFieldNumber, head.part) +
      VarintFieldBytes(ExchangeRequest::kPullEncodingFieldNumber, static_cast<uint64_t>(head.pull_encoding)) +
      VarintFieldBytes(ExchangeRequest::kApplyFieldNumber, head.apply ? 1 : 0) +
      DoubleFieldBytes(ExchangeRequest::kNormFieldNumber, head.norm) +
      VarintFieldBytes(ExchangeRequest::kIterationsFieldNumber, head.iterations) +
      VarintFieldBytes(ExchangeRequest::kOpeningFieldNumber, head.opening) +
      PackedFieldBytes(ExchangeRequest::kPullFieldNumber, pull) +
      PackedFieldBytes(ExchangeRequest::kSquaresFieldNumber, squares);
  for (const PushedChunk& chunk : push) {
    bytes += DelimitedFieldBytes(ExchangeRequest::kPushFieldNumber, ChunkBytes(chunk));
  }
  return bytes;
}

// --- reading ---

absl::Status Garbage(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the answer is not an ExchangeResponse: ", what));
}

bool SkipField(CodedInputStream* in, uint32_t tag) {
  uint64_t number = 0;
  uint32_t number32 = 0;
  int length = 0;
  switch (tag & 7) {
    case kVarint:
      return in->ReadVarint64(&number);
    case kFixed64:
      return in->ReadLittleEndian64(&number);
    case kDelimited:
      return in->ReadVarintSizeAsInt(&length) && in->Skip(length);
    case kFixed32:
      return in->ReadLittleEndian32(&number32);
    default:
      return false;
  }
}

bool ReadNumber(CodedInputStream* in, uint64_t* value) { return in->ReadVarint64(value); }
template <typename Int>
bool ReadNumber(CodedInputStream* in, Int* value) {
  uint64_t wide = 0;
  if (!in->ReadVarint64(&wide)) return false;
  *value = static_cast<Int>(wide);
  return true;
}

bool ReadWeightsField(CodedInputStream* in, uint32_t tag, ExchangeAnswer::Weights* weights) {
  switch (tag) {
    case Tag(ChunkData::kChunkFieldNumber, kVarint):
      return ReadNumber(in, &weights->chunk);
    case Tag(ChunkData::kEncodingFieldNumber, kVarint):
      return ReadNumber(in, &weights->encoding);
    case Tag(ChunkData::kVersionFieldNumber, kVarint):
      return ReadNumber(in, &weights->version);
    case Tag(ChunkData::kPayloadFieldNumber, kDelimited):
      if (!in->ReadVarintSizeAsInt(&weights->payload_bytes)) return false;
      weights->payload_begin = in->CurrentPosition();
      return in->Skip(weights->payload_bytes);
    default:
      return SkipField(in, tag);
  }
}

// A message within the message, whose fields `read_field` reads into *part.
template <typename Part>
bool ReadPart(CodedInputStream* in, bool (*read_field)(CodedInputStream*, uint32_t, Part*), Part* part) {
  int length = 0;
  if (!in->ReadVarintSizeAsInt(&length)) return false;
  const CodedInputStream::Limit outer = in->PushLimit(length);
  while (in->BytesUntilLimit() > 0) {
    const uint32_t tag = in->ReadTag();
    if (tag == 0 || !read_field(in, tag, part)) return false;
  }
  in->PopLimit(outer);
  return true;
}

bool ReadSums(CodedInputStream* in, std::vector<double>* sums) {
  int length = 0;
  if (!in->ReadVarintSizeAsInt(&length) || length % sizeof(double) != 0) return false;
  for (int i = 0; i < length / static_cast<int>(sizeof(double)); ++i) {
    uint64_t bits = 0;
    if (!in->ReadLittleEndian64(&bits)) return false;
    sums->push_back(std::bit_cast<double>(bits));
  }
  return true;
}

bool ReadSquaresField(CodedInputStream* in, uint32_t tag, ExchangeAnswer::Squares* squares) {
  switch (tag) {
    case Tag(ChunkSquares::kChunkFieldNumber, kVarint):
      return ReadNumber(in, &squares->chunk);
    case Tag(ChunkSquares::kSumsFieldNumber, kDelimited):
      return ReadSums(in, &squares->sums);
    default:
      return SkipField(in, tag);
  }
}

bool ReadText(CodedInputStream* in, std::string* text) {
  int length = 0;
  if (!in->ReadVarintSizeAsInt(&length)) return false;
  const int kept = std::min(length, kMaxMessageText);
  return in->ReadString(text, kept) && in->Skip(length - kept);
}

// As generated code writes repeated numbers.
bool ReadPacked(CodedInputStream* in, std::vector<uint32_t>* values) {
  int length = 0;
  if (!in->ReadVarintSizeAsInt(&length)) return false;
  const CodedInputStream::Limit outer = in->PushLimit(length);
  while (in->BytesUntilLimit() > 0) {
    if (!ReadNumber(in, &values->emplace_back())) return false;
  }
  in->PopLimit(outer);
  return true;
}

bool ReadAnswerField(CodedInputStream* in, uint32_t tag, ExchangeAnswer* answer) {
  switch (tag) {
    case Tag(ExchangeResponse::kSequenceFieldNumber, kVarint):
      return ReadNumber(in, &answer->sequence);
    case Tag(ExchangeResponse::kCodeFieldNumber, kVarint):
      return ReadNumber(in, &answer->code);
    case Tag(ExchangeResponse::kMessageFieldNumber, kDelimited):
      return ReadText(in, &answer->message);
    case Tag(ExchangeResponse::kWeightsFieldNumber, kDelimited):
      return ReadPart(in, &ReadWeightsField, &answer->weights.emplace_back());
    case Tag(ExchangeResponse::kAppliedFieldNumber, kVarint):
      return ReadNumber(in, &answer->applied);
    case Tag(ExchangeResponse::kDuplicatesFieldNumber, kVarint):
      return ReadNumber(in, &answer->duplicates);
    case Tag(ExchangeResponse::kNotYetFieldNumber, kVarint):
      return ReadNumber(in, &answer->not_yet);
    case Tag(ExchangeResponse::kDroppedFieldNumber, kDelimited):
      return ReadPacked(in, &answer->dropped);
    case Tag(ExchangeResponse::kSquaresFieldNumber, kDelimited):
      return ReadPart(in, &ReadSquaresField, &answer->squares.emplace_back());
    default:
      return SkipField(in, tag);
  }
}

void Clear(ExchangeAnswer* answer) {
  std::vector<ExchangeAnswer::Weights> weights = std::move(answer->weights);
  weights.clear();
  *answer = ExchangeAnswer();
  answer->weights = std::move(weights);
}

}  // namespace

grpc::ByteBuffer EncodeExchangeRequest(const ExchangeHead& head, std::span<const PushedChunk> push,
                                       std::span<const uint32_t> pull, std::span<const uint32_t> squares) {
  const grpc_slice raw = grpc_slice_malloc(RequestBytes(head, push, pull, squares));
  grpc_slice slice = raw;
  Writer writer(GRPC_SLICE_START_PTR(slice));
  writer.VarintField(ExchangeRequest::kSequenceFieldNumber, head.sequence);
  writer.DelimitedHead(ExchangeRequest::kJobIdFieldNumber, head.job_id.size());
  writer.Bytes(head.job_id.data(), head.job_id.size());
  writer.VarintField(ExchangeRequest::kEpochFieldNumber, head.epoch);
  writer.VarintField(ExchangeRequest::kIterationFieldNumber, head.iteration);
  for (const PushedChunk& chunk : push) {
    writer.DelimitedHead(ExchangeRequest::kPushFieldNumber, ChunkBytes(chunk));
    writer.VarintField(ChunkData::kChunkFieldNumber, chunk.chunk);
    writer.VarintField(ChunkData::kEncodingFieldNumber, static_cast<uint64_t>(chunk.encoding));
    writer.VarintField(ChunkData::kVersionFieldNumber, chunk.version);
    const size_t bytes = PayloadBytes(chunk);
    writer.DelimitedHead(ChunkData::kPayloadFieldNumber, bytes);
    if (chunk.payload.empty()) {
      EncodeFloats(chunk.encoding, chunk.gradient, chunk.key, writer.Room(bytes));
    } else {
      writer.Bytes(chunk.payload.data(), bytes);
    }
  }
  writer.PackedField(ExchangeRequest::kPullFieldNumber, pull);
  writer.VarintField(ExchangeRequest::kFrozenFieldNumber, head.frozen ? 1 : 0);
  writer.VarintField(ExchangeRequest::kFrozenIterationFieldNumber, head.frozen_iteration);
  writer.VarintField(ExchangeRequest::kVectorFieldNumber, head.vector);
  writer.VarintField(ExchangeRequest::kWaitsFieldNumber, head.waits ? 1 : 0);
  writer.VarintField(ExchangeRequest::kWatermarkFieldNumber, head.watermark);
  writer.VarintField(ExchangeRequest::kPartFieldNumber, head.part);
  writer.VarintField(ExchangeRequest::kPullEncodingFieldNumber, static_cast<uint64_t>(head.pull_encoding));
  writer.PackedField(ExchangeRequest::kSquaresFieldNumber, squares);
  writer.VarintField(ExchangeRequest::kApplyFieldNumber, head.apply ? 1 : 0);
  writer.DoubleField(ExchangeRequest::kNormFieldNumber, head.norm);
  writer.VarintField(ExchangeRequest::kIterationsFieldNumber, head.iterations);
  writer.VarintField(ExchangeRequest::kOpeningFieldNumber, head.opening);
  const grpc::Slice owned(slice, grpc::Slice::STEAL_REF);
  return grpc::ByteBuffer(&owned, 1);
}

absl::Status ParseExchangeResponse(grpc::ByteBuffer* response, size_t max_chunks, ExchangeAnswer* answer) {
  Clear(answer);
  grpc::ProtoBufferReader slices(response);
  if (!slices.status().ok()) return Garbage("it cannot be decompressed");
  CodedInputStream in(&slices);
  while (const uint32_t tag = in.ReadTag()) {
    if (!ReadAnswerField(&in, tag, answer)) return Garbage(absl::StrCat("it breaks off in field ", tag >> 3));
    if (std::max({answer->weights.size(), answer->dropped.size(), answer->squares.size()}) > max_chunks) {
      return Garbage(absl::StrCat("it has more than ", max_chunks, " chunks"));
    }
  }
  // ReadTag also returns 0 for a tag that is none.
  if (!in.ConsumedEntireMessage()) return Garbage("it has an invalid tag");
  return absl::OkStatus();
}

absl::Status DecodePayloads(grpc::ByteBuffer* response, const ExchangeAnswer& answer,
                            std::span<const std::span<float>> destinations) {
  grpc::ProtoBufferReader slices(response);
  CodedInputStream in(&slices);
  std::vector<char> encoded;
  for (size_t i = 0; i < answer.weights.size(); ++i) {
    const ExchangeAnswer::Weights& weights = answer.weights[i];
    const bool as_is = weights.encoding == v1::ENCODING_FLOAT32;
    if (!as_is) encoded.resize(static_cast<size_t>(weights.payload_bytes));
    void* const to = as_is ? static_cast<void*>(destinations[i].data()) : encoded.data();
    if (!in.Skip(weights.payload_begin - in.CurrentPosition()) || !in.ReadRaw(to, weights.payload_bytes)) {
      return Garbage("it changed while it was read");
    }
    if (!as_is) DecodeFloats(static_cast<v1::Encoding>(weights.encoding), encoded.data(), destinations[i]);
  }
  return absl::OkStatus();
}

}  // namespace samovar
