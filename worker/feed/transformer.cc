#include "worker/feed/transformer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/caffe/mean_file.h"

namespace samovar {
namespace {

absl::Status CheckParam(const caffe::TransformationParameter& param, const RecordShape& input) {
  if (param.has_mean_file() && param.mean_value_size() > 0) {
    return absl::InvalidArgumentError("transform_param: mean_file and mean_value exclude each other; keep one of them");
  }
  if (!std::isfinite(param.scale())) return absl::InvalidArgumentError("transform_param: scale is not a finite number");
  const int means = param.mean_value_size();
  if (means != 0 && means != 1 && means != input.channels) {
    return absl::InvalidArgumentError(absl::StrCat("transform_param: mean_value is given ", means,
                                                   " times; give it once, or once for each of the ", input.channels,
                                                   " channels"));
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
int Choose(uint32_t bits, int count) { return static_cast<int>((uint64_t{bits} * static_cast<uint64_t>(count)) >> 32); }

absl::StatusOr<std::vector<float>> ReadMean(const std::string& path, const RecordShape& input,
                                            const StorageTable& storage) {
  const auto blob = ReadMeanFile(path, storage);
  if (absl::IsNotFound(blob.status())) {
    return absl::NotFoundError(
        absl::StrCat(blob.status().message(), "; make it with `samovar data mean` from the data set"));
  }
  if (!blob.ok()) return blob.status();
  const RecordShape shape = {blob->channels(), blob->height(), blob->width()};
  if (shape != input) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the mean is ", ToString(shape), ", but the records are ",
                                                   ToString(input),
                                                   " (channels x height x width, before the crop); make it ",
                                                   "with `samovar data mean` from the data set itself"));
  }
  return std::vector<float>(blob->data().begin(), blob->data().end());
}

// `in` and `out` do not overlap. The compiler makes vector code of all four loops.
template <typename Pixel>
void CopyRow(const Pixel* __restrict in, int count, float mean, float scale, float* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = (static_cast<float>(in[i]) - mean) * scale;
}

template <typename Pixel>
void CopyRow(const Pixel* __restrict in, int count, const float* __restrict means, float scale, float* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = (static_cast<float>(in[i]) - means[i]) * scale;
}

template <typename Pixel>
void CopyRowMirrored(const Pixel* __restrict in, int count, float mean, float scale, float* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = (static_cast<float>(in[count - 1 - i]) - mean) * scale;
}

template <typename Pixel>
void CopyRowMirrored(const Pixel* __restrict in, int count, const float* __restrict means, float scale,
                     float* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = (static_cast<float>(in[count - 1 - i]) - means[count - 1 - i]) * scale;
}

}  // namespace

absl::StatusOr<Transformer> Transformer::Create(const caffe::TransformationParameter& param, caffe::Phase phase,
                                                const RecordShape& input, const StorageTable& storage) {
  if (input.channels < 1 || input.height < 1 || input.width < 1)
    return absl::InvalidArgumentError(
        absl::StrCat("records have the shape ", ToString(input), "; channels, height and width must be at least 1"));
  if (const absl::Status status = CheckParam(param, input); !status.ok()) return status;
  std::vector<float> mean_image;
  if (param.has_mean_file()) {
    auto mean = ReadMean(param.mean_file(), input, storage);
    if (!mean.ok()) return Annotate(mean.status(), "transform_param: mean_file");
    mean_image = *std::move(mean);
  }
  return Transformer(param, phase, input, std::move(mean_image));
}

Transformer::Transformer(const caffe::TransformationParameter& param, caffe::Phase phase, const RecordShape& input,
                         std::vector<float> mean_image)
    : input_(input),
      output_(input),
      scale_(param.scale()),
      means_(static_cast<size_t>(input.channels), param.mean_value_size() == 1 ? param.mean_value(0) : 0.0f),
      mean_image_(std::move(mean_image)),
      random_crop_(param.crop_size() > 0 && phase == caffe::TRAIN),
      random_mirror_(param.mirror() && phase == caffe::TRAIN),
      cropped_(param.crop_size() > 0) {
  if (param.mean_value_size() > 1) means_.assign(param.mean_value().begin(), param.mean_value().end());
  if (cropped_) output_.height = output_.width = static_cast<int>(param.crop_size());
}

absl::Status Transformer::Adapt(const RecordShape& shape) {
  if (shape.channels != input_.channels) {
    return absl::InvalidArgumentError(
        absl::StrCat("a record has shape ", ToString(shape), "; expected ", input_.channels, " channels"));
  }
  input_ = output_ = shape;
  return absl::OkStatus();
}

absl::Status Transformer::CheckShape(const RecordShape& shape) const {
  if (shape == input_) return absl::OkStatus();
  const std::string differs = absl::StrCat("a record has shape ", ToString(shape), "; expected ", ToString(input_));
  if (shape.channels != input_.channels) return absl::InvalidArgumentError(differs);
  if (!cropped_) {
    return absl::InvalidArgumentError(absl::StrCat(differs,
                                                   ", the first record's; resize them to one size, set crop_size in "
                                                   "transform_param, or train with batch_size: 1"));
  }
  if (!mean_image_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(differs, ", the mean_file's; resize the records to one size, or use mean_value"));
  }
  if (shape.height < output_.height || shape.width < output_.width) {
    return absl::InvalidArgumentError(
        absl::StrCat("a record has shape ", ToString(shape), ", which is smaller than crop_size, ", output_.height));
  }
  return absl::OkStatus();
}

Transformer::View Transformer::ViewOf(const RecordShape& shape, const Draw& draw) const {
  const int free_rows = shape.height - output_.height;
  const int free_columns = shape.width - output_.width;
  View view{free_rows / 2, free_columns / 2, false};
  if (!random_crop_ && !random_mirror_) return view;
  const std::array<uint32_t, 4> bits =
      Philox(DeriveKey(RandomStream::kTransform, {draw.seed}), draw.iteration, draw.sample);
  if (random_mirror_) view.mirrored = Choose(bits[0], 2) == 1;
  if (random_crop_) {
    view.top = Choose(bits[1], free_rows + 1);
    view.left = Choose(bits[2], free_columns + 1);
  }
  return view;
}

absl::Status Transformer::Apply(const RecordShape& shape, const uint8_t* pixels, const Draw& draw, float* out) const {
  SAMOVAR_RETURN_IF_ERROR(CheckShape(shape));
  Copy(shape, pixels, ViewOf(shape, draw), out);
  return absl::OkStatus();
}

absl::Status Transformer::Apply(const caffe::Datum& datum, const Draw& draw, float* out) const {
  const RecordShape shape = {datum.channels(), datum.height(), datum.width()};
  if (datum.encoded()) return absl::InvalidArgumentError("a record is encoded; it must be decoded first");
  SAMOVAR_RETURN_IF_ERROR(CheckShape(shape));
  if (datum.data().size() == shape.elements()) {
    Copy(shape, reinterpret_cast<const uint8_t*>(datum.data().data()), ViewOf(shape, draw), out);
  } else if (datum.data().empty() && static_cast<size_t>(datum.float_data_size()) == shape.elements()) {
    Copy(shape, datum.float_data().data(), ViewOf(shape, draw), out);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("a record has ", datum.data().size(), " bytes of data and ",
                                                   datum.float_data_size(), " float_data; expected ", shape.elements(),
                                                   " of either"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Transformer::View> Transformer::Place(const RecordShape& shape, const Draw& draw) const {
  SAMOVAR_RETURN_IF_ERROR(CheckShape(shape));
  return ViewOf(shape, draw);
}

template <typename Pixel>
void Transformer::CopyColumns(const Pixel* row, size_t c, size_t at, int columns, bool mirrored, float* out) const {
  const auto copy = [&](auto mean) {
    if (mirrored) {
      CopyRowMirrored(row, columns, mean, scale_, out);
    } else {
      CopyRow(row, columns, mean, scale_, out);
    }
  };
  if (mean_image_.empty()) {
    copy(means_[c]);
  } else {
    copy(mean_image_.data() + at);
  }
}

template <typename Pixel>
void Transformer::Copy(const RecordShape& shape, const Pixel* in, const View& view, float* out) const {
  // Rows that follow one another in both are one long row.
  const bool whole = output_ == shape && !view.mirrored;
  const int rows = whole ? 1 : output_.height;
  const int columns = whole ? output_.height * output_.width : output_.width;
  for (int c = 0; c < output_.channels; ++c) {
    size_t at = (static_cast<size_t>(c) * shape.height + view.top) * shape.width + view.left;
    for (int y = 0; y < rows; ++y, at += shape.width, out += columns)
      CopyColumns(in + at, static_cast<size_t>(c), at, columns, view.mirrored, out);
  }
}

void Transformer::ApplyRow(const RecordShape& shape, const View& view, int y, const uint8_t* planes, float* out) const {
  const auto width = static_cast<size_t>(shape.width);
  const auto left = static_cast<size_t>(view.left);
  const auto row = static_cast<size_t>(y - view.top);
  const auto height = static_cast<size_t>(output_.height);
  for (size_t c = 0; c < static_cast<size_t>(output_.channels); ++c) {
    const size_t at = (c * static_cast<size_t>(shape.height) + static_cast<size_t>(y)) * width + left;
    float* const to = out + (c * height + row) * static_cast<size_t>(output_.width);
    CopyColumns(planes + c * width + left, c, at, output_.width, view.mirrored, to);
  }
}

}  // namespace samovar
