// Every layer that has a gradient, on several shapes: odd ones, one record, other axes, in place, and with parts of the
// gradient not wanted.
#include "tests/worker/nn/gradient_matrix.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/blob_gradients.h"
#include "tests/worker/nn/test_net.h"
#include "worker/nn/layer_registry.h"

namespace samovar {
namespace {

// One layer on its bottoms "b0", "b1", ...
struct MatrixCase {
  const MatrixRow& row;
  const std::string& fields;
  const std::vector<MatrixBottom>& bottoms;
};

std::string BottomName(size_t i) { return absl::StrCat("b", i); }

std::vector<float> GivenValues(const MatrixBottom& bottom) {
  int elements = 1;
  for (int dim : bottom.shape) elements *= dim;
  std::vector<float> values;
  for (int i = 0; i < elements; ++i) {
    const int label = bottom.kind == MatrixBottom::kLabels ? (i * i + i / 2 + 2) % bottom.classes : 0;
    values.push_back(bottom.kind == MatrixBottom::kLabels ? static_cast<float>(label)
                                                          : static_cast<float>(i * 7 % 11 + 2) / 13);
  }
  return values;
}

std::string BottomText(const MatrixBottom& bottom, const std::string& name) {
  if (bottom.kind == MatrixBottom::kLearnt) return Learnt(name, bottom.shape);
  return absl::StrCat("layer { name: \"", name, "\" type: \"Input\" top: \"", name,
                      "\" input_param { shape { dim: ", absl::StrJoin(bottom.shape, " dim: "), " } } }\n");
}

// `more` stands in the layer besides its fields.
std::string NetText(const MatrixCase& tested, const std::string& more = "", bool in_place = false) {
  std::string text;
  std::vector<std::string> bottoms, tops;
  for (size_t i = 0; i < tested.bottoms.size(); ++i) {
    bottoms.push_back(BottomName(i));
    text += BottomText(tested.bottoms[i], bottoms.back());
  }
  for (int i = 0; i < tested.row.tops; ++i) tops.push_back(in_place ? "b0" : absl::StrCat("x", i));
  text += LayerText(tested.row.type, bottoms, tops, absl::StrCat(tested.fields, " ", more));
  if (absl::EndsWith(tested.row.type, "Loss") || absl::StrContains(tested.fields, "loss_weight")) return text;
  const int losses = tested.row.losses == 0 ? tested.row.tops : tested.row.losses;
  for (int i = 0; i < losses; ++i) text += RowLoss(tops[static_cast<size_t>(i)]);
  return text;
}

BlobValues ValuesOf(const MatrixCase& tested) {
  BlobValues values{tested.row.middle, tested.row.reach};
  for (const MatrixBottom& bottom : tested.bottoms) {
    if (bottom.kind != MatrixBottom::kLearnt) values.inputs.push_back(GivenValues(bottom));
  }
  return values;
}

// The gradients by their blobs: of layer and index.
std::vector<std::pair<std::string, std::vector<float>>> GradientsOf(const std::string& text, const BlobValues& values) {
  std::unique_ptr<Net> net = NetOfBlobs(text, values);
  const std::vector<float> all = Gradients(net.get());
  std::vector<std::pair<std::string, std::vector<float>>> blobs;
  for (const v1::ParameterBlob& blob : net->layout().blobs()) {
    const int64_t elements = Elements(Shape(blob.shape().begin(), blob.shape().end()));
    const auto begin = all.begin() + static_cast<ptrdiff_t>(blob.offset());
    blobs.emplace_back(absl::StrCat(blob.layer(), "[", blob.index(), "]"), std::vector<float>(begin, begin + elements));
  }
  return blobs;
}

// With `more` in the layer the gradient of one blob is 0, and the others' bits are what they were.
void CheckWithout(const MatrixCase& tested, const std::string& blob, const std::string& more) {
  INFO("without the gradient of " << blob);
  const BlobValues values = ValuesOf(tested);
  const auto all = GradientsOf(NetText(tested), values);
  const auto without = GradientsOf(NetText(tested, more), values);
  REQUIRE(without.size() == all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    INFO(all[i].first);
    if (all[i].first == blob) {
      CHECK(without[i].second == std::vector<float>(all[i].second.size(), 0.0f));
    } else {
      CHECK(without[i].second == all[i].second);
    }
  }
}

void CheckPropagateDown(const MatrixCase& tested) {
  for (size_t i = 0; i < tested.bottoms.size(); ++i) {
    if (tested.bottoms[i].kind != MatrixBottom::kLearnt) continue;
    std::string flags;
    for (size_t k = 0; k < tested.bottoms.size(); ++k) {
      const bool wanted = k != i && tested.bottoms[k].kind == MatrixBottom::kLearnt;
      absl::StrAppend(&flags, "propagate_down: ", wanted ? "true " : "false ");
    }
    CheckWithout(tested, BottomName(i) + "[0]", flags);
  }
}

// Parameters of the layer's own that do not learn.
void CheckFrozen(const MatrixCase& tested) {
  std::unique_ptr<Net> net = NetOfBlobs(NetText(tested), ValuesOf(tested));
  std::string before;
  for (const v1::ParameterBlob& blob : net->layout().blobs()) {
    if (blob.layer() != "tested" || blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    CheckWithout(tested, absl::StrCat("tested[", blob.index(), "]"), before + "param { lr_mult: 0 }");
    before += "param { } ";
  }
}

void CheckRows(const std::vector<MatrixRow>& rows) {
  for (const MatrixRow& row : rows) {
    for (const std::string& fields : row.fields) {
      for (const std::vector<MatrixBottom>& bottoms : row.bottoms) {
        const MatrixCase tested{row, fields, bottoms};
        INFO(NetText(tested));
        CheckBlobGradients(NetText(tested), ValuesOf(tested));
        CheckPropagateDown(tested);
        CheckFrozen(tested);
        if (!row.in_place) continue;
        std::vector<std::vector<float>> elsewhere, in_place;
        for (auto& blob : GradientsOf(NetText(tested), ValuesOf(tested))) elsewhere.push_back(blob.second);
        for (auto& blob : GradientsOf(NetText(tested, "", true), ValuesOf(tested))) in_place.push_back(blob.second);
        CHECK(in_place == elsewhere);
      }
    }
  }
}

TEST_CASE(
    "gradients of layers that compute values from single ones, or normalise, agree with differences on every shape") {
  CheckRows(NeuronRows());
}

TEST_CASE("gradients of windows, products and lookups agree with differences on every shape") {
  CheckRows(ProductRows());
}

TEST_CASE("gradients of layers that join, cut and rearrange agree with differences on every shape") {
  CheckRows(ShapeRows());
}

TEST_CASE("gradients of losses agree with differences on every shape and for every normalization") {
  CheckRows(LossRows());
}

TEST_CASE("the forward pass of no layer writes gradients, which may still be on their way to servers") {
  for (const auto& rows : {NeuronRows(), ProductRows(), ShapeRows(), LossRows()}) {
    for (const MatrixRow& row : rows) {
      for (const std::string& fields : row.fields) {
        for (const std::vector<MatrixBottom>& bottoms : row.bottoms) {
          const MatrixCase tested{row, fields, bottoms};
          INFO(NetText(tested));
          std::unique_ptr<Net> net = NetOfBlobs(NetText(tested), ValuesOf(tested));
          Gradients(net.get());
          const std::vector<float> sent(net->gradients().size(), 1234.5f);
          std::copy(sent.begin(), sent.end(), net->gradients().begin());
          REQUIRE_OK(net->Forward(1, 2));
          CHECK(std::equal(sent.begin(), sent.end(), net->gradients().begin()));
        }
      }
    }
  }
}

TEST_CASE("every layer type that has a gradient is among those that are checked, on three shapes or more") {
  const std::set<std::string> without = {"Accuracy",  "ArgMax", "Data",       "DummyData", "HDF5Data",
                                         "ImageData", "Input",  "MemoryData", "Silence",   "Threshold"};
  std::map<std::string, size_t> cases;
  for (const auto& rows : {NeuronRows(), ProductRows(), ShapeRows(), LossRows()}) {
    for (const MatrixRow& row : rows) cases[row.type] += std::max(row.bottoms.size(), row.fields.size());
  }
  for (const std::string& type : std::vector<std::string>(absl::StrSplit(OfferedLayerTypes(), ", "))) {
    INFO(type);
    // A Parameter has no bottom but its shape.
    CHECK((cases[type] >= (type == "Parameter" ? 2u : 3u)) == (without.count(type) == 0));
  }
}

}  // namespace
}  // namespace samovar
