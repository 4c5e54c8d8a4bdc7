// Gradients of layers by their bottoms and parameters, against double-sided differences of the loss.
//
// The layer's bottoms come from Parameter layers, so that the gradient by every bottom is one by a weight. The loss
// is one row of random weights times the layer's values: it shows every value's gradient apart. The values of Parameter
// layers are spread evenly and in no order: no two are equal and none is 0 or half of the largest, and as long as there
// are 200 of them at most a step moves none past another, nor over a kink that a layer has at those places. Tolerance:
// the loss is below 10 and rounded to 1e-6 or so after sums of at most some hundred terms; a step of 4e-3 makes of that
// 1e-6 / 8e-3 = 1.3e-4, and the third derivative adds about step^2 / 6 = 3e-6 times its size. 1e-3 of the larger of 1
// and the gradient leaves room; a wrong term shows as 1e-2 or more.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/nn/net.h"

namespace samovar {

// A Parameter layer and its top.
std::string Learnt(const std::string& name, const std::vector<int>& shape);

// The loss of a blob: its values times random weights. The blob must have axes.
std::string RowLoss(const std::string& bottom);

// A layer "tested".
std::string LayerText(const std::string& type, const std::vector<std::string>& bottoms,
                      const std::vector<std::string>& tops, const std::string& fields);

// The weights and the inputs of a net. Other weights than those of Parameter layers are uniform in [-1, 1); of
// statistics, in [0.5, 1.5).
struct BlobValues {
  // Of Parameter layers: from middle - reach to middle + reach.
  float middle = 0;
  float reach = 1;
  // Of each Input layer, in net order.
  std::vector<std::vector<float>> inputs = {};
};

// A TRAIN net of the layers, with its values.
std::unique_ptr<Net> NetOfBlobs(const std::string& layers, const BlobValues& values);

// Compares the gradients of all weights that learn, but those of row losses: of the largest blobs every few weights
// only. A second pass must compute the same bits as the first.
void CheckBlobGradients(const std::string& layers, const BlobValues& values = {});

}  // namespace samovar
