// A Datum of Caffe where it lies, without a copy of its values.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "common/data/record_shape.h"

namespace samovar {

struct DatumView {
  RecordShape shape;  // as stored; 0 where it says nothing
  int label = 0;
  bool encoded = false;
  absl::string_view data;  // a part of the bytes that were viewed
};

// The same as caffe::Datum reads from these bytes. nullopt: the bytes are no Datum, or have other fields, float_data
// for instance; caffe::Datum reads those.
std::optional<DatumView> ViewDatum(absl::string_view bytes);

}  // namespace samovar
