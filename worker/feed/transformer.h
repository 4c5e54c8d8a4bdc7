// Transformer turns a stored record into a sample as the net sees it: Caffe's transform_param.
//
// For output (c, y, x) of a record that is H x W, with x' = x, or crop_w-1-x if the sample is mirrored:
//     out[c][y][x'] = (in[c][top + y][left + x] - mean) * scale
// where mean is mean_value[c], or mean_file's value at the same place, (c, top + y, left + x).
// Crop: crop_size > 0 cuts a square, in TRAIN at a random (top, left), in TEST in the centre, ((H - crop) / 2, rounded
// down). Mirror: in TRAIN with probability 1/2. In TEST never, other than in Caffe, where a test with `mirror: true`
// has another result each time.
// Draws are keyed by (seed, iteration, sample), so they depend neither on the worker nor on the time.
// Records of other sizes than the first are taken if a crop makes them alike and there is no mean_file; without either,
// after Adapt. force_color and force_gray tell how encoded images are decoded and have no effect here.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/data/record_shape.h"
#include "common/storage/storage_table.h"

namespace samovar {

// The sample that random choices are made for: all that they depend on.
struct Draw {
  uint64_t seed = 0;
  uint64_t iteration = 0;
  // Numbers the samples of the iteration.
  uint64_t sample = 0;
};

class Transformer {
 public:
  // `input` is the shape of the first record, decoded. Reads mean_file from `storage`.
  // INVALID_ARGUMENT: the message names the field of transform_param. Others: mean_file cannot be read.
  static absl::StatusOr<Transformer> Create(const caffe::TransformationParameter& param, caffe::Phase phase,
                                            const RecordShape& input, const StorageTable& storage);

  RecordShape output_shape() const { return output_; }

  // Whether there is neither a crop nor a mean_file, so that samples are as large as their records.
  bool adapts() const { return !cropped_ && mean_image_.empty(); }
  // From now on records have this shape. REQUIRES: adapts(). INVALID_ARGUMENT: other channels.
  absl::Status Adapt(const RecordShape& shape);

  // Writes output_shape().elements() floats to `out`.
  // INVALID_ARGUMENT: the record's shape is not the input's, or it is encoded.
  absl::Status Apply(const caffe::Datum& datum, const Draw& draw, float* out) const;
  // `pixels`: as many as the shape has elements, plane after plane.
  absl::Status Apply(const RecordShape& shape, const uint8_t* pixels, const Draw& draw, float* out) const;

  // The results of the draws for one sample: where it lies in its record.
  struct View {
    int top = 0;
    int left = 0;
    bool mirrored = false;
  };
  // For a record whose rows are applied one by one. Errors of Apply.
  absl::StatusOr<View> Place(const RecordShape& shape, const Draw& draw) const;
  // Writes the part of the sample at `out` that row y of its record makes; `shape` is the record's. `planes`: the row,
  // shape.width bytes for each channel. REQUIRES: view.top <= y < view.top + output_shape().height
  void ApplyRow(const RecordShape& shape, const View& view, int y, const uint8_t* planes, float* out) const;

 private:
  Transformer(const caffe::TransformationParameter& param, caffe::Phase phase, const RecordShape& input,
              std::vector<float> mean_image);

  absl::Status CheckShape(const RecordShape& shape) const;
  View ViewOf(const RecordShape& shape, const Draw& draw) const;
  template <typename Pixel>
  void Copy(const RecordShape& shape, const Pixel* in, const View& view, float* out) const;
  // `columns` values of channel c; `at`: their place in a record of the input's shape.
  template <typename Pixel>
  void CopyColumns(const Pixel* row, size_t c, size_t at, int columns, bool mirrored, float* out) const;

  RecordShape input_;
  RecordShape output_;
  float scale_;
  std::vector<float> means_;       // one a channel
  std::vector<float> mean_image_;  // of the input's shape; empty: means_ count
  bool random_crop_;
  bool random_mirror_;
  bool cropped_;
};

}  // namespace samovar
