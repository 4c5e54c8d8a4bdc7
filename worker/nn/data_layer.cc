// Data: the net's input. Its tops are filled by the caller of Net::Forward:
//   top 0  [batch_size, channels, height, width], records after the transform
//   top 1  [batch_size], labels (optional)
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"

namespace samovar {
namespace {

class DataLayer : public Layer {
 public:
  explicit DataLayer(const LayerContext& context) {
    Shape shape = {context.batch_size};
    shape.insert(shape.end(), context.record.begin(), context.record.end());
    AddTop(std::move(shape));
    if (context.param.top_size() == 2) AddTop({context.batch_size});
  }

  bool has_backward() const override { return false; }
  absl::Status Forward(const Pass&) override { return absl::OkStatus(); }
  void Backward(const Pass&) override {}
};

}  // namespace

// The fields of data_param and transform_param are read, and refused, by the batch feed that fills the tops.
LayerOr CreateDataLayer(const LayerContext& context) { return std::make_unique<DataLayer>(context); }

}  // namespace samovar
