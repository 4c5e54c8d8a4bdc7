#include "common/data/datum_view.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>
#include <limits>

#include "caffe.pb.h"

namespace samovar {
namespace {

using google::protobuf::internal::WireFormatLite;

// The field's values, in the order of the format.
bool ViewData(google::protobuf::io::CodedInputStream* in, absl::string_view* data) {
  int size = 0;
  if (!in->ReadVarintSizeAsInt(&size)) return false;
  const void* at = nullptr;
  int rest = 0;
  in->GetDirectBufferPointerInline(&at, &rest);
  if (size > rest) return false;
  *data = absl::string_view(static_cast<const char*>(at), static_cast<size_t>(size));
  return in->Skip(size);
}

bool ViewField(uint32_t tag, google::protobuf::io::CodedInputStream* in, DatumView* view) {
  constexpr auto kVarint = WireFormatLite::WIRETYPE_VARINT;
  const int field = WireFormatLite::GetTagFieldNumber(tag);
  if (tag == WireFormatLite::MakeTag(caffe::Datum::kDataFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED))
    return ViewData(in, &view->data);
  uint64_t value = 0;
  if (WireFormatLite::GetTagWireType(tag) != kVarint || !in->ReadVarint64(&value)) return false;
  switch (field) {
    case caffe::Datum::kChannelsFieldNumber:
      view->shape.channels = static_cast<int32_t>(value);
      return true;
    case caffe::Datum::kHeightFieldNumber:
      view->shape.height = static_cast<int32_t>(value);
      return true;
    case caffe::Datum::kWidthFieldNumber:
      view->shape.width = static_cast<int32_t>(value);
      return true;
    case caffe::Datum::kLabelFieldNumber:
      view->label = static_cast<int32_t>(value);
      return true;
    case caffe::Datum::kEncodedFieldNumber:
      view->encoded = value != 0;
      return true;
    default:
      return false;
  }
}

}  // namespace

std::optional<DatumView> ViewDatum(absl::string_view bytes) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return std::nullopt;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  DatumView view;
  while (const uint32_t tag = in.ReadTag()) {
    if (!ViewField(tag, &in, &view)) return std::nullopt;
  }
  if (!in.ConsumedEntireMessage()) return std::nullopt;
  return view;
}

}  // namespace samovar
