#include "common/model/initial_values.h"

#include <fstream>
#include <limits>
#include <vector>

#include "common/caffe/model_file.h"
#include "common/caffe/solver_state_file.h"
#include "common/model/solver_history.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

void AddBlob(v1::ParameterLayout* layout, const char* layer, uint32_t index, const std::vector<int64_t>& shape) {
  v1::ParameterBlob* blob = layout->add_blobs();
  blob->set_layer(layer);
  blob->set_index(index);
  blob->set_offset(layout->elements());
  uint64_t elements = 1;
  for (int64_t dimension : shape) {
    blob->add_shape(dimension);
    elements *= static_cast<uint64_t>(dimension);
  }
  layout->set_elements(layout->elements() + elements);
}

// "ip" of 2x3 and 2 floats at 0 and 6, "top" of 4 floats at 8.
v1::ParameterLayout Layout() {
  v1::ParameterLayout layout;
  AddBlob(&layout, "ip", 0, {2, 3});
  AddBlob(&layout, "ip", 1, {2});
  AddBlob(&layout, "top", 0, {4});
  return layout;
}

void AddValues(caffe::LayerParameter* layer, const std::vector<int64_t>& shape, float first) {
  caffe::BlobProto* blob = layer->add_blobs();
  int64_t elements = 1;
  for (int64_t dimension : shape) {
    blob->mutable_shape()->add_dim(dimension);
    elements *= dimension;
  }
  for (int64_t i = 0; i < elements; ++i) blob->add_data(first + static_cast<float>(i));
}

// A layer "ip" with 1, 2, ... and 7, 8, and one that the layout lacks.
caffe::NetParameter Model() {
  caffe::NetParameter model;
  caffe::LayerParameter* ip = model.add_layer();
  ip->set_name("ip");
  AddValues(ip, {2, 3}, 1);
  AddValues(ip, {2}, 7);
  caffe::LayerParameter* old = model.add_layer();
  old->set_name("old_top");
  AddValues(old, {9}, 100);
  return model;
}

struct Fixture {
  TempDir dir;
  v1::InitialModel initial;
  v1::ParameterLayout layout = Layout();

  std::string Write(const caffe::NetParameter& model, const std::string& name = "a.caffemodel") {
    REQUIRE_OK(WriteModel(dir.File(name), model, StorageTable()));
    return dir.File(name);
  }
  absl::StatusOr<InitialValues> Read(int vectors = 1) {
    return InitialValues::Read(initial, layout, vectors, StorageTable());
  }
  // As Read with this one model.
  absl::Status ReadOnly(const caffe::NetParameter& model) {
    initial.clear_weights();
    initial.add_weights(Write(model));
    return Read().status();
  }
  std::vector<float> WeightsOver(float filled) {
    auto values = Read();
    REQUIRE_OK(values);
    std::vector<float> weights(layout.elements(), filled);
    values->CopyWeights(layout, 0, weights);
    return weights;
  }
};

TEST_CASE_METHOD(Fixture, "layers take the weights of their names, and the others keep their fillers") {
  initial.add_weights(Write(Model()));
  CHECK(WeightsOver(-1) == std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, -1, -1, -1, -1});
  auto values = Read();
  REQUIRE_OK(values);
  CHECK(values->iteration() == 0);
  CHECK(values->filled_layers() == std::vector<std::string>{"ip"});
  CHECK(values->other_layers() == std::vector<std::string>{"top"});
  std::vector<float> part(4, -1);
  values->CopyWeights(layout, 5, part);
  CHECK(part == std::vector<float>{6, 7, 8, -1});
}

TEST_CASE_METHOD(Fixture, "where two models have a layer the later one counts") {
  caffe::NetParameter second;
  second.add_layer()->set_name("ip");
  AddValues(second.mutable_layer(0), {2, 3}, 21);
  AddValues(second.mutable_layer(0), {2}, 27);
  second.add_layer()->set_name("top");
  AddValues(second.mutable_layer(1), {4}, 31);
  const std::string a = Write(Model()), b = Write(second, "b.caffemodel");
  initial.add_weights(a);
  initial.add_weights(b);
  CHECK(WeightsOver(-1)[0] == 21);
  initial.clear_weights();
  initial.add_weights(b);
  initial.add_weights(a);
  const std::vector<float> weights = WeightsOver(-1);
  CHECK(weights[0] == 1);
  CHECK(weights[8] == 31);
}

TEST_CASE_METHOD(Fixture, "what does not fit is refused with the layer, the blob and both shapes") {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  caffe::NetParameter model = Model();
  model.mutable_layer(0)->mutable_blobs(0)->mutable_shape()->set_dim(0, 3);
  model.mutable_layer(0)->mutable_blobs(0)->mutable_shape()->set_dim(1, 2);
  REQUIRE_STATUS(ReadOnly(model), invalid, "layer \"ip\", blob 0 is 3x2 in the file and 2x3 in the net");
  REQUIRE_STATUS(ReadOnly(model), invalid, "a.caffemodel");
  model = Model();
  model.mutable_layer(0)->mutable_blobs()->RemoveLast();
  REQUIRE_STATUS(ReadOnly(model), invalid, "layer \"ip\" has 1 blobs in the file and 2 in the net");
  model = Model();
  model.mutable_layer(0)->mutable_blobs(1)->set_data(1, std::numeric_limits<float>::infinity());
  REQUIRE_STATUS(ReadOnly(model), invalid, "layer \"ip\", blob 1 has NaN or infinity");
  initial.clear_weights();
  initial.add_weights(dir.File("nothing.caffemodel"));
  REQUIRE_STATUS(Read(), absl::StatusCode::kNotFound, "nothing.caffemodel");
}

TEST_CASE_METHOD(Fixture, "old shapes of four axes fit with ones before their axes") {
  caffe::NetParameter model = Model();
  const auto set_old = [&model](int blob, int num, int channels, int height, int width) {
    caffe::BlobProto* old = model.mutable_layer(0)->mutable_blobs(blob);
    old->clear_shape();
    old->set_num(num);
    old->set_channels(channels);
    old->set_height(height);
    old->set_width(width);
  };
  set_old(0, 1, 1, 2, 3);
  set_old(1, 1, 1, 1, 2);
  REQUIRE_OK(ReadOnly(model));
  CHECK(WeightsOver(-1)[7] == 8);
  set_old(0, 2, 3, 1, 1);
  REQUIRE_STATUS(ReadOnly(model), absl::StatusCode::kInvalidArgument, "2x3x1x1 in the file and 2x3 in the net");
}

TEST_CASE_METHOD(Fixture, "a shared blob is its owner's, and layers that share it must have it too") {
  v1::SharedParameter* shared = layout.add_shared();
  shared->set_layer("twin");
  shared->set_blob(0);
  caffe::NetParameter model = Model();
  model.add_layer()->set_name("twin");
  AddValues(model.mutable_layer(2), {2, 3}, 50);
  initial.add_weights(Write(model));
  CHECK(WeightsOver(-1)[0] == 1);
  model.mutable_layer(2)->clear_blobs();
  REQUIRE_OK(ReadOnly(model));
  AddValues(model.mutable_layer(2), {2, 3}, 50);
  AddValues(model.mutable_layer(2), {2}, 50);
  REQUIRE_STATUS(ReadOnly(model), absl::StatusCode::kInvalidArgument, "\"twin\" has 2 blobs in the file and 1");
}

TEST_CASE_METHOD(Fixture, "a layer may leave out a shared blob after its own ones, but none of its own") {
  v1::SharedParameter* shared = layout.add_shared();
  shared->set_layer("top");
  shared->set_index(1);
  shared->set_blob(0);
  caffe::NetParameter model;
  model.add_layer()->set_name("top");
  AddValues(model.mutable_layer(0), {4}, 1);
  REQUIRE_OK(ReadOnly(model));
  shared->set_index(0);
  layout.mutable_blobs(2)->set_index(1);
  REQUIRE_STATUS(ReadOnly(model), absl::StatusCode::kInvalidArgument, "\"top\" has 1 blobs in the file and 2");
}

TEST_CASE_METHOD(Fixture, "a solver's state gives history and iteration, and finds its model beside it") {
  Write(Model(), "moved.caffemodel");
  std::vector<std::vector<float>> history = {std::vector<float>(12, 0.5f), std::vector<float>(12, 2)};
  history[1][9] = 3;
  caffe::SolverParameter solver;
  solver.set_type("Adam");
  initial.set_solver_state(dir.File("a.solverstate"));
  const auto write = [&](const std::string& learned_net) {
    REQUIRE_OK(WriteSolverState(initial.solver_state(), MakeSolverState(solver, layout, 200, learned_net, history),
                                StorageTable()));
  };
  write("elsewhere/moved.caffemodel");
  auto values = Read(2);
  REQUIRE_OK(values);
  CHECK(values->iteration() == 200);
  CHECK(values->filled_layers() == std::vector<std::string>{"ip"});
  std::vector<float> part(4);
  values->CopyHistory(layout, 1, 7, part);
  CHECK(part == std::vector<float>{2, 2, 3, 2});
  REQUIRE_STATUS(Read(1), absl::StatusCode::kInvalidArgument, "a.solverstate");
  write("elsewhere/gone.caffemodel");
  REQUIRE_STATUS(Read(2), absl::StatusCode::kNotFound, "elsewhere/gone.caffemodel");
  write("");
  REQUIRE_STATUS(Read(2), absl::StatusCode::kInvalidArgument, "names no model");
}

TEST_CASE_METHOD(Fixture, "garbage is refused by the file's name") {
  std::ofstream(dir.File("a.solverstate")) << "not a state, whatever its name says";
  std::ofstream(dir.File("a.caffemodel")) << "not a model";
  initial.set_solver_state(dir.File("a.solverstate"));
  REQUIRE_STATUS(Read(), absl::StatusCode::kDataLoss, "a.solverstate");
  initial.clear_solver_state();
  initial.add_weights(dir.File("a.caffemodel"));
  REQUIRE_STATUS(Read(), absl::StatusCode::kDataLoss, "a.caffemodel");
}

TEST_CASE_METHOD(Fixture, "a file that holds something else than its digest says is refused, though it fits") {
  initial.add_weights(Write(Model()));
  const auto first = Read();
  REQUIRE_OK(first);
  REQUIRE(first->digests().size() == 1);
  initial.add_digests(first->digests()[0]);
  REQUIRE_OK(Read());

  caffe::NetParameter other = Model();
  other.mutable_layer(0)->mutable_blobs(0)->set_data(0, 2);
  Write(other);
  REQUIRE_STATUS(Read(), absl::StatusCode::kFailedPrecondition, initial.weights(0));
}

TEST_CASE_METHOD(Fixture, "without files nothing is written") {
  CHECK(WeightsOver(-1) == std::vector<float>(12, -1));
  auto values = Read();
  REQUIRE_OK(values);
  CHECK(values->filled_layers().empty());
  CHECK(values->other_layers() == std::vector<std::string>{"ip", "top"});
}

}  // namespace
}  // namespace samovar
