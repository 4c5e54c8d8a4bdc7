#include "cli/made_up_records.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "worker/feed/open_reader.h"

namespace samovar {
namespace {

// "3x32x32"
absl::StatusOr<std::vector<int64_t>> ParseShape(const std::string& text) {
  std::vector<int64_t> shape;
  for (const absl::string_view part : absl::StrSplit(text, 'x')) {
    int64_t dim = 0;
    if (!absl::SimpleAtoi(part, &dim) || dim < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("--shape: \"", text, "\" is not CHANNELSxHEIGHTxWIDTH, for example 3x32x32"));
    }
    shape.push_back(dim);
  }
  return shape;
}

}  // namespace

absl::StatusOr<v1::DatasetSpec> MadeUpRecords(const caffe::NetParameter& param, const std::string& shapes_text) {
  std::vector<std::vector<int64_t>> shapes;
  for (const absl::string_view text : absl::StrSplit(shapes_text, ',')) {
    SAMOVAR_ASSIGN_OR_RETURN(shapes.emplace_back(), ParseShape(std::string(text)));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<const caffe::LayerParameter*> layers, FindFedLayers(param));
  if (layers.empty())
    return absl::InvalidArgumentError("--shape is for nets with a data layer; this one has none: remove it");
  if (shapes.size() != 1 && shapes.size() != layers.size()) {
    return absl::InvalidArgumentError(absl::StrCat("--shape has ", shapes.size(), " shapes for ", layers.size(),
                                                   " data layers; give one, or one for each"));
  }
  v1::DatasetSpec all;
  for (size_t i = 0; i < layers.size(); ++i) {
    v1::DatasetSpec* const data = i == 0 ? &all : all.add_further();
    data->set_layer(layers[i]->name());
    data->set_records(1);
    const std::vector<int64_t>& shape = shapes[shapes.size() == 1 ? 0 : i];
    for (int top = 0; top < layers[i]->top_size(); ++top) {
      v1::RecordTop* record = data->add_tops();
      if (top == 0) record->mutable_shape()->Add(shape.begin(), shape.end());
    }
  }
  return all;
}

void FillMadeUpWeights(Net* net) {
  const std::span<float> weights = net->weights();
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] = 0.05f * (static_cast<float>(Philox(1, 0, i)[0] % 2001) / 1000.0f - 1.0f);
}

void FillMadeUpInputs(const v1::DatasetSpec& data, Net* net) {
  for (const NetInput& input : net->inputs()) {
    // Further data layers and further tops may be labels: the first class.
    const auto& further = data.further();
    if (std::any_of(further.begin(), further.end(),
                    [&input](const v1::DatasetSpec& layer) { return layer.layer() == input.layer; }))
      continue;
    const std::span<float> values = input.tops[0];
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(Philox(2, 0, i)[0] % 256) / 256.0f;
  }
}

}  // namespace samovar
