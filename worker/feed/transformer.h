// Transformer turns a stored record into a sample as the net sees it: Caffe's transform_param.
//
// For output (c, y, x) of a record that is H x W, with x' = x, or crop_w-1-x if the sample is mirrored:
//     out[c][y][x'] = (in[c][top + y][left + x] - mean_value[c]) * scale
// Crop: crop_size > 0 cuts a square, in TRAIN at a random (top, left), in TEST in the centre, ((H - crop) / 2, rounded
// down). Mirror: in TRAIN with probability 1/2. In TEST never, other than in Caffe, where a test with `mirror: true`
// has another result each time.
// Draws are keyed by (seed, iteration, sample), so they do not depend on who transforms the sample, nor when.
// force_color and force_gray concern encoded images only and have no effect here.
//
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/data/record_shape.h"

namespace samovar {

class Transformer {
 public:
  // `input` is the shape of the stored records.
  // INVALID_ARGUMENT: the message names the field of transform_param. UNIMPLEMENTED: mean_file.
  static absl::StatusOr<Transformer> Create(const caffe::TransformationParameter& param, caffe::Phase phase,
                                            const RecordShape& input);

  RecordShape output_shape() const { return output_; }

  // Writes output_shape().elements() floats to `out`. `sample` numbers the samples of the iteration.
  // INVALID_ARGUMENT: the record is not of the input shape, or it is encoded.
  absl::Status Apply(const caffe::Datum& datum, uint64_t seed, uint64_t iteration, uint64_t sample, float* out) const;

 private:
  Transformer(const caffe::TransformationParameter& param, caffe::Phase phase, const RecordShape& input);

  // What the draws decided for one sample.
  struct View {
    int top = 0;
    int left = 0;
    bool mirrored = false;
  };

  View ViewOf(uint64_t seed, uint64_t iteration, uint64_t sample) const;
  template <typename Pixel>
  void Copy(const Pixel* in, const View& view, float* out) const;

  RecordShape input_;
  RecordShape output_;
  float scale_;
  std::vector<float> means_;  // one a channel
  bool random_crop_;
  bool random_mirror_;
};

}  // namespace samovar
