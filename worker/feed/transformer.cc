#include "worker/feed/transformer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"

namespace samovar {
namespace {

absl::Status CheckParam(const caffe::TransformationParameter& param, const RecordShape& input) {
  if (param.has_mean_file()) {
    return absl::UnimplementedError(
        "transform_param: mean_file is not offered; give the mean of each channel as mean_value");
  }
  if (!std::isfinite(param.scale())) return absl::InvalidArgumentError("transform_param: scale is not a finite number");
  const int means = param.mean_value_size();
  if (means != 0 && means != 1 && means != input.channels) {
    return absl::InvalidArgumentError(
        absl::StrCat("transform_param: mean_value is given ", means, " times; give it once, or once for each of the ",
                     input.channels, " channels"));
  }
  for (const float mean : param.mean_value()) {
    if (!std::isfinite(mean)) return absl::InvalidArgumentError("transform_param: mean_value is not a finite number");
  }
  const uint32_t smaller_side = static_cast<uint32_t>(std::min(input.height, input.width));
  if (param.crop_size() > smaller_side) {
    return absl::InvalidArgumentError(absl::StrCat("transform_param: crop_size is ", param.crop_size(),
                                                   ", but the records are ", ToString(input),
                                                   " (channels x height x width)"));
  }
  return absl::OkStatus();
}

// Maps 32 random bits to 0 ... count-1.
int Draw(uint32_t bits, int count) { return static_cast<int>((uint64_t{bits} * static_cast<uint64_t>(count)) >> 32); }

// `in` and `out` do not overlap. The compiler makes vector code of both loops.
template <typename Pixel>
void CopyRow(const Pixel* __restrict in, int count, float mean, float scale, float* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = (static_cast<float>(in[i]) - mean) * scale;
}

template <typename Pixel>
void CopyRowMirrored(const Pixel* __restrict in, int count, float mean, float scale, float* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = (static_cast<float>(in[count - 1 - i]) - mean) * scale;
}

}  // namespace

absl::StatusOr<Transformer> Transformer::Create(const caffe::TransformationParameter& param, caffe::Phase phase,
                                                const RecordShape& input) {
  if (input.channels < 1 || input.height < 1 || input.width < 1)
    return absl::InvalidArgumentError(absl::StrCat("records of shape ", ToString(input), " cannot be"));
  if (const absl::Status status = CheckParam(param, input); !status.ok()) return status;
  return Transformer(param, phase, input);
}

Transformer::Transformer(const caffe::TransformationParameter& param, caffe::Phase phase, const RecordShape& input)
    : input_(input),
      output_(input),
      scale_(param.scale()),
      means_(static_cast<size_t>(input.channels), param.mean_value_size() == 1 ? param.mean_value(0) : 0.0f),
      random_crop_(param.crop_size() > 0 && phase == caffe::TRAIN),
      random_mirror_(param.mirror() && phase == caffe::TRAIN) {
  if (param.mean_value_size() > 1) means_.assign(param.mean_value().begin(), param.mean_value().end());
  if (param.crop_size() > 0) output_.height = output_.width = static_cast<int>(param.crop_size());
}

Transformer::View Transformer::ViewOf(uint64_t seed, uint64_t iteration, uint64_t sample) const {
  const int free_rows = input_.height - output_.height;
  const int free_columns = input_.width - output_.width;
  View view{free_rows / 2, free_columns / 2, false};
  if (!random_crop_ && !random_mirror_) return view;
  const std::array<uint32_t, 4> bits = Philox(DeriveKey(RandomStream::kTransform, {seed}), iteration, sample);
  if (random_mirror_) view.mirrored = Draw(bits[0], 2) == 1;
  if (random_crop_) {
    view.top = Draw(bits[1], free_rows + 1);
    view.left = Draw(bits[2], free_columns + 1);
  }
  return view;
}

absl::Status Transformer::Apply(const caffe::Datum& datum, uint64_t seed, uint64_t iteration, uint64_t sample,
                                float* out) const {
  const RecordShape shape = {datum.channels(), datum.height(), datum.width()};
  if (shape != input_) {
    return absl::InvalidArgumentError(
        absl::StrCat("a record has shape ", ToString(shape), "; expected ", ToString(input_)));
  }
  if (datum.encoded()) return absl::InvalidArgumentError("a record is encoded; it must be decoded first");
  const View view = ViewOf(seed, iteration, sample);
  if (datum.data().size() == input_.elements()) {
    Copy(reinterpret_cast<const uint8_t*>(datum.data().data()), view, out);
  } else if (datum.data().empty() && static_cast<size_t>(datum.float_data_size()) == input_.elements()) {
    Copy(datum.float_data().data(), view, out);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("a record has ", datum.data().size(), " bytes of data and ",
                                                   datum.float_data_size(), " float_data; expected ",
                                                   input_.elements(), " of either"));
  }
  return absl::OkStatus();
}

template <typename Pixel>
void Transformer::Copy(const Pixel* in, const View& view, float* out) const {
  // Rows that follow one another in both are one long row.
  const bool whole = output_ == input_ && !view.mirrored;
  const int rows = whole ? 1 : output_.height;
  const int columns = whole ? output_.height * output_.width : output_.width;
  for (int c = 0; c < output_.channels; ++c) {
    const float mean = means_[static_cast<size_t>(c)];
    const Pixel* row = in + (static_cast<size_t>(c) * input_.height + view.top) * input_.width + view.left;
    for (int y = 0; y < rows; ++y, row += input_.width, out += columns) {
      if (view.mirrored) {
        CopyRowMirrored(row, columns, mean, scale_, out);
      } else {
        CopyRow(row, columns, mean, scale_, out);
      }
    }
  }
}

}  // namespace samovar
