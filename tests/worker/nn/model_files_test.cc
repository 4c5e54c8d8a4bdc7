// A net's weights and its solver's history through the files that Caffe's programs read, and back.
#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/caffe/insert_splits.h"
#include "common/caffe/model_file.h"
#include "common/caffe/solver_state_file.h"
#include "common/model/initial_values.h"
#include "common/model/layout.h"
#include "common/model/model_blobs.h"
#include "common/model/solver_history.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

// Blobs of every kind: of groups, of statistics, without axes, of one axis and of two, transposed, shared.
constexpr char kLayers[] = R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
            convolution_param { num_output: 6 group: 2 kernel_h: 3 kernel_w: 1 } }
    layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
    layer { name: "block/scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
    layer { name: "number" type: "Scale" bottom: "conv" top: "conv" scale_param { num_axes: 0 } }
    layer { name: "prelu" type: "PReLU" bottom: "conv" top: "conv" prelu_param { channel_shared: true } }
    layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up" convolution_param { num_output: 4 group: 2 kernel_size: 2 bias_term: false } }
    layer { name: "flat" type: "Flatten" bottom: "up" top: "flat" }
    layer { name: "a" type: "InnerProduct" bottom: "flat" top: "a" param { name: "w" } param { name: "b" } inner_product_param { num_output: 3 } }
    layer { name: "b" type: "InnerProduct" bottom: "flat" top: "b" param { name: "w" } param { name: "b" } inner_product_param { num_output: 3 } }
    layer { name: "c" type: "InnerProduct" bottom: "flat" top: "c" inner_product_param { num_output: 3 transpose: true bias_term: false } }
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" bottom: "c" top: "sum" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss" })";

std::string Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Read as servers read them: a chunk at a time, which may begin and end within a blob.
std::vector<float> InChunks(uint64_t elements, const std::function<void(uint64_t begin, std::span<float> out)>& copy) {
  std::vector<float> values(elements, -7.0f);
  for (uint64_t begin = 0; begin < elements; begin += 13) {
    copy(begin, std::span(values).subspan(begin, std::min<uint64_t>(13, elements - begin)));
  }
  return values;
}

TEST_CASE("a model and its solver state that were read give, written again, the same files to the byte") {
  const caffe::NetParameter text = NetFromText(DataText(2) + kLayers);
  std::unique_ptr<Net> net = MakeNet(DataText(2) + kLayers, ImageOptions(caffe::TRAIN, 4, 5, 3));
  const v1::ParameterLayout& layout = net->layout();
  REQUIRE_OK(CheckLayout(layout));
  REQUIRE(layout.shared_size() == 2);
  FillWeights(net.get(), 1);
  const std::vector<float> weights(net->weights().begin(), net->weights().end());
  std::vector<std::vector<float>> history(2, weights);
  for (float& value : history[1]) value *= -0.5f;
  caffe::SolverParameter solver;
  solver.set_type("Adam");

  for (const std::string extension : {"", ".h5"}) {
    INFO("extension " << extension);
    TempDir dir;
    const std::string model_path = dir.File("net.caffemodel" + extension);
    const std::string state_path = dir.File("net.solverstate" + extension);
    const auto write = [&](const std::vector<float>& values, const std::vector<std::vector<float>>& vectors) {
      const auto model = MakeModel(InsertSplits(text), layout, values);
      REQUIRE_OK(model);
      REQUIRE_OK(WriteModel(model_path, *model, StorageTable()));
      REQUIRE_OK(
          WriteSolverState(state_path, MakeSolverState(solver, layout, 77, model_path, vectors), StorageTable()));
    };
    write(weights, history);
    const std::string model_bytes = Bytes(model_path), state_bytes = Bytes(state_path);
    REQUIRE(model_bytes.size() > 4 * weights.size());

    v1::InitialModel files;
    files.set_solver_state(state_path);
    const auto read = InitialValues::Read(files, layout, 2, StorageTable());
    REQUIRE_OK(read);
    CHECK(read->iteration() == 77);
    CHECK(read->other_layers().empty());
    const auto values = InChunks(layout.elements(),
                                 [&](uint64_t begin, std::span<float> out) { read->CopyWeights(layout, begin, out); });
    CHECK(values == weights);
    std::vector<std::vector<float>> vectors;
    for (int vector : {0, 1}) {
      vectors.push_back(InChunks(layout.elements(), [&](uint64_t begin, std::span<float> out) {
        read->CopyHistory(layout, vector, begin, out);
      }));
    }
    CHECK(vectors == history);
    write(values, vectors);
    CHECK(Bytes(model_path) == model_bytes);
    CHECK(Bytes(state_path) == state_bytes);
  }
}

}  // namespace
}  // namespace samovar
