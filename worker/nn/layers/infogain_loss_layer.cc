// InfogainLoss: loss = -sum over positions of sum over classes k of H[label][k] * log(max(p[k], 1e-20)) / normalizer,
// with p the softmax of bottom 0 along infogain_loss_param.axis; with H the unit matrix it is SoftmaxWithLoss.
// Gradient: (p[k] * sum of H[label] - H[label][k]) * weight / normalizer, 0 where the label is ignored; weight is the
// top's diff. normalizer: loss_normalization.h, VALID unless loss_param says otherwise; a batch is the blocks before
// the axis. Bottoms: scores [records, ..., classes (axis), ...], labels, and H, [classes, classes] or the same with
// axes of 1 before it, unless it is in a file (infogain_loss_param.source, a BlobProto); tops: the loss, and optionally
// p.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/storage/paths.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/kernels/softmax_kernel.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/labels.h"
#include "worker/nn/layers/layer_fields.h"
#include "worker/nn/layers/loss_normalization.h"

namespace samovar {
namespace {

class InfogainLossLayer : public Layer {
 public:
  // `matrix` is empty if it is bottom 2.
  InfogainLossLayer(const LayerContext& context, SoftmaxAxis axis, const LossNormalization& normalization,
                    std::vector<float> matrix)
      : name_(context.param.name()), axis_(axis), normalization_(normalization), matrix_(std::move(matrix)) {
    AddTop({});
    if (context.param.top_size() == 2) AddTop(context.bottoms[0]);
  }

  bool backward_reads_tops() const override { return top_shapes().size() == 2; }

  absl::Status Forward(const Pass& pass) override {
    SAMOVAR_RETURN_IF_ERROR(
        CheckLabels(name_, pass, bottom(1), axis_.channels, normalization_.has_ignore, normalization_.ignore));
    int64_t valid = 0;
    for (int64_t i = 0; i < axis_.positions(); ++i) valid += !normalization_.Ignores(LabelAt(bottom(1).data, i));
    normalizer_ = normalization_.Divisor(axis_.outer, axis_.positions(), valid);
    for (int64_t label = 0; label < axis_.channels; ++label) {
      const float* row = Row(label);
      row_sums_.data()[label] = SumOf<float>(axis_.channels, [=](int64_t k) { return row[k]; });
    }
    const double sum = sum_.Run(pass.loop, [&](int64_t begin, int64_t end) {
      double part = 0;
      for (int64_t block = begin; block < end; ++block) part += BlockLoss(block);
      return part;
    });
    top(0).data[0] = static_cast<float>(sum / static_cast<double>(normalizer_));
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const float scale = top(0).diff[0] / normalizer_;
    pass.loop.Run(axis_.outer, axis_.blocks_per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t block = begin; block < end; ++block) BackwardBlock(block, scale);
    });
  }

 private:
  absl::Status Allocate() override {
    sum_.Prepare(axis_.outer, axis_.blocks_per_piece());
    SAMOVAR_RETURN_IF_ERROR(row_sums_.Allocate(axis_.channels));
    SAMOVAR_RETURN_IF_ERROR(logarithms_.Allocate(bottom(0).elements()));
    if (binding().tops.size() == 2) {
      probabilities_ = top(1).data;
      return absl::OkStatus();
    }
    SAMOVAR_RETURN_IF_ERROR(own_probabilities_.Allocate(bottom(0).elements()));
    probabilities_ = own_probabilities_.data();
    return absl::OkStatus();
  }

  // H[label]
  const float* Row(int64_t label) const {
    return (matrix_.empty() ? bottom(2).data : matrix_.data()) + label * axis_.channels;
  }

  double BlockLoss(int64_t block) {
    const int64_t count = axis_.channels * axis_.inner;
    float* p = probabilities_ + block * count;
    float* logarithms = logarithms_.data() + block * count;
    SoftmaxForward(bottom(0).data + block * count, p, 1, axis_);
    // std::max in this order keeps a NaN.
    for (int64_t i = 0; i < count; ++i) logarithms[i] = std::max(p[i], 1e-20f);
    LogInPlace(logarithms, count);
    double loss = 0;
    for (int64_t i = 0; i < axis_.inner; ++i) {
      const int64_t label = LabelAt(bottom(1).data, block * axis_.inner + i);
      if (normalization_.Ignores(label)) continue;
      const float* row = Row(label);
      loss -= SumOf<double>(axis_.channels, [=, this](int64_t k) { return row[k] * logarithms[k * axis_.inner + i]; });
    }
    return loss;
  }

  void BackwardBlock(int64_t block, float scale) {
    const int64_t count = axis_.channels * axis_.inner;
    const float* p = probabilities_ + block * count;
    float* dx = bottom(0).diff + block * count;
    for (int64_t i = 0; i < axis_.inner; ++i) {
      const int64_t label = LabelAt(bottom(1).data, block * axis_.inner + i);
      const bool ignored = normalization_.Ignores(label);
      const float* row = ignored ? nullptr : Row(label);
      for (int64_t k = 0; k < axis_.channels; ++k) {
        const int64_t at = k * axis_.inner + i;
        dx[at] = ignored ? 0 : (p[at] * row_sums_.data()[label] - row[k]) * scale;
      }
    }
  }

  const std::string name_;
  const SoftmaxAxis axis_;
  const LossNormalization normalization_;
  const std::vector<float> matrix_;
  Buffer<float> row_sums_;
  Buffer<float> own_probabilities_;
  Buffer<float> logarithms_;
  // Own or top 1's: as bottom 0.
  float* probabilities_ = nullptr;
  PieceSum sum_;
  // Set by the last Forward.
  float normalizer_ = 1;
};

// INVALID_ARGUMENT unless the shape is [classes, classes], or that after axes of 1.
absl::Status CheckMatrixShape(const Shape& shape, int64_t classes) {
  const size_t axes = shape.size();
  const bool square = axes >= 2 && shape[axes - 1] == classes && shape[axes - 2] == classes;
  if (square && Elements(shape) == classes * classes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the infogain matrix has shape ", ToString(shape), "; for ", classes,
                                                 " classes it must be [", classes, ", ", classes, "]"));
}

// A path of this machine: whoever builds the net has fetched the file (common/caffe/net_sources.h).
absl::StatusOr<std::vector<float>> ReadMatrix(const std::string& path, int64_t classes) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local, LocalPath(path));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(local, std::numeric_limits<int32_t>::max()));
  caffe::BlobProto blob;
  if (!blob.ParseFromString(bytes))
    return absl::DataLossError(absl::StrCat(path, " is not a BlobProto, or it is damaged"));
  Shape shape(blob.shape().dim().begin(), blob.shape().dim().end());
  if (!blob.has_shape()) shape = {blob.num(), blob.channels(), blob.height(), blob.width()};
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckShape(shape), path));
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckMatrixShape(shape, classes), path));
  const int held = blob.double_data_size() > 0 ? blob.double_data_size() : blob.data_size();
  if (held != classes * classes) {
    return absl::DataLossError(
        absl::StrCat(path, " holds ", held, " values; its shape says ", classes * classes, "; it is damaged"));
  }
  if (blob.double_data_size() > 0) return std::vector<float>(blob.double_data().begin(), blob.double_data().end());
  return std::vector<float>(blob.data().begin(), blob.data().end());
}

}  // namespace

LayerOr CreateInfogainLossLayer(const LayerContext& context) {
  const caffe::InfogainLossParameter& infogain = context.param.infogain_loss_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(infogain, "infogain_loss_param", {"source", "axis"}));
  SAMOVAR_ASSIGN_OR_RETURN(const LossNormalization normalization,
                           LossNormalization::Of(context.param.loss_param(), caffe::LossParameter::VALID));
  SAMOVAR_ASSIGN_OR_RETURN(const int number, CanonicalAxis(context.bottoms[0], infogain.axis()));
  const SoftmaxAxis axis = SoftmaxAxis::Of(context.bottoms[0], number);
  SAMOVAR_RETURN_IF_ERROR(CheckLabelCount(context.bottoms[1], axis.positions()));
  std::vector<float> matrix;
  if (context.bottoms.size() == 3) {
    if (infogain.has_source()) {
      return absl::InvalidArgumentError("the matrix is both a third bottom and infogain_loss_param.source; remove one");
    }
    SAMOVAR_RETURN_IF_ERROR(CheckMatrixShape(context.bottoms[2], axis.channels));
  } else {
    if (!infogain.has_source()) {
      return absl::InvalidArgumentError(
          "there is no matrix; give a third bottom, or a file in infogain_loss_param.source");
    }
    absl::StatusOr<std::vector<float>> read = ReadMatrix(infogain.source(), axis.channels);
    if (!read.ok()) return Annotate(read.status(), "infogain_loss_param.source");
    matrix = *std::move(read);
  }
  return std::make_unique<InfogainLossLayer>(context, axis, normalization, std::move(matrix));
}

}  // namespace samovar
