// DummyData: tops filled as data_filler says (constant 0 if there is none): no bottoms, no gradient. Shapes: shape, or
// the older num, channels, height and width; one for all tops or one each, as are the fillers. Axis 0 is the batch
// (LayerContext::ForBatch). Constant tops are filled once, others in each pass: values are a function of seed,
// iteration, layer, top and their place in the iteration.
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/model/filler.h"
#include "samovar/v1/layout.pb.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class DummyDataLayer : public Layer {
 public:
  // `blobs`: shape and filler of each top.
  DummyDataLayer(uint64_t number, std::vector<v1::ParameterBlob> blobs) : number_(number), blobs_(std::move(blobs)) {
    for (const v1::ParameterBlob& blob : blobs_) AddTop(Shape(blob.shape().begin(), blob.shape().end()));
  }

  bool has_backward() const override { return false; }

  absl::Status Forward(const Pass& pass) override {
    for (size_t i = 0; i < blobs_.size(); ++i) {
      if (IsConstant(i)) continue;
      const uint64_t key = DeriveKey(RandomStream::kFiller, {pass.seed, pass.iteration, number_, i});
      SAMOVAR_RETURN_IF_ERROR(Fill(i, key, pass.first_record));
    }
    return absl::OkStatus();
  }

  void Backward(const Pass&) override {}

 private:
  bool IsConstant(size_t i) const { return blobs_[i].filler().type() == "constant"; }

  // Constant values stay: no layer may write into the memory of a layer without a gradient.
  absl::Status Allocate() override {
    for (size_t i = 0; i < blobs_.size(); ++i) {
      if (IsConstant(i)) SAMOVAR_RETURN_IF_ERROR(Fill(i, 0, 0));
    }
    return absl::OkStatus();
  }

  absl::Status Fill(size_t i, uint64_t seed, uint64_t first_record) {
    const std::span<float> values(top(i).data, static_cast<size_t>(top(i).elements()));
    return FillRange(blobs_[i], seed, first_record * static_cast<uint64_t>(top(i).record_elements()), values);
  }

  const uint64_t number_;
  const std::vector<v1::ParameterBlob> blobs_;
};

absl::Status CheckCount(const std::string& field, int count, int tops) {
  if (count == 1 || count == tops) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("dummy_data_param.", field, " is given ", count, " times for ", tops,
                                                 " tops; give it once, or once for each"));
}

// The i-th of a field that is given once, or once for each top.
template <typename Field>
const auto& EntryOf(const Field& field, int i) {
  return field.Get(field.size() == 1 ? 0 : i);
}

Shape ShapeOfTop(const caffe::DummyDataParameter& dummy, int i) {
  if (dummy.num_size() == 0) {
    const caffe::BlobShape& shape = EntryOf(dummy.shape(), i);
    return Shape(shape.dim().begin(), shape.dim().end());
  }
  return Shape{EntryOf(dummy.num(), i), EntryOf(dummy.channels(), i), EntryOf(dummy.height(), i),
               EntryOf(dummy.width(), i)};
}

absl::Status CheckCounts(const caffe::DummyDataParameter& dummy, int tops) {
  if (dummy.data_filler_size() > 0) SAMOVAR_RETURN_IF_ERROR(CheckCount("data_filler", dummy.data_filler_size(), tops));
  const bool old =
      dummy.num_size() > 0 || dummy.channels_size() > 0 || dummy.height_size() > 0 || dummy.width_size() > 0;
  if (!old) return CheckCount("shape", dummy.shape_size(), tops);
  if (dummy.shape_size() > 0) {
    return absl::InvalidArgumentError("dummy_data_param: give shape, or num, channels, height and width, but not both");
  }
  SAMOVAR_RETURN_IF_ERROR(CheckCount("num", dummy.num_size(), tops));
  SAMOVAR_RETURN_IF_ERROR(CheckCount("channels", dummy.channels_size(), tops));
  SAMOVAR_RETURN_IF_ERROR(CheckCount("height", dummy.height_size(), tops));
  return CheckCount("width", dummy.width_size(), tops);
}

}  // namespace

LayerOr CreateDummyDataLayer(const LayerContext& context) {
  const caffe::DummyDataParameter& dummy = context.param.dummy_data_param();
  SAMOVAR_RETURN_IF_ERROR(
      CheckFields(dummy, "dummy_data_param", {"data_filler", "shape", "num", "channels", "height", "width"}));
  SAMOVAR_RETURN_IF_ERROR(CheckCounts(dummy, context.param.top_size()));
  std::vector<v1::ParameterBlob> blobs;
  for (int i = 0; i < context.param.top_size(); ++i) {
    const Shape shape = context.ForBatch(ShapeOfTop(dummy, i));
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckShape(shape), "dummy_data_param"));
    v1::ParameterBlob& blob = blobs.emplace_back();
    blob.set_layer(context.param.name());
    blob.set_index(static_cast<uint32_t>(i));
    for (int64_t dimension : shape) blob.add_shape(dimension);
    if (dummy.data_filler_size() > 0) *blob.mutable_filler() = EntryOf(dummy.data_filler(), i);
    blob.mutable_filler()->set_type(blob.filler().type());
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckFiller(blob), "dummy_data_param.data_filler"));
  }
  return std::make_unique<DummyDataLayer>(context.number, std::move(blobs));
}

}  // namespace samovar
