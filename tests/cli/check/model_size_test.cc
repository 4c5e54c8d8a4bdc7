#include "cli/check/model_size.h"

#include <string>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// A layout of blobs of these shapes.
v1::ParameterLayout Layout(const std::vector<std::vector<int64_t>>& shapes) {
  v1::ParameterLayout layout;
  for (const std::vector<int64_t>& shape : shapes) {
    v1::ParameterBlob* blob = layout.add_blobs();
    uint64_t elements = 1;
    for (const int64_t dim : shape) {
      blob->add_shape(dim);
      elements *= static_cast<uint64_t>(dim);
    }
    layout.set_elements(layout.elements() + elements);
  }
  return layout;
}

caffe::SolverParameter Solver(const std::string& type) {
  caffe::SolverParameter solver;
  solver.set_type(type);
  return solver;
}

}  // namespace

TEST_CASE("a model that its format cannot hold is refused with its size and with the format that can") {
  // 2^29 floats are one byte more than protobuf's limit.
  const v1::ParameterLayout layout = Layout({{1 << 15, 1 << 14}});
  REQUIRE_STATUS(CheckModelSize(Solver("SGD"), {}, layout), absl::StatusCode::kInvalidArgument,
                 "the .caffemodel of 536870912 parameters would have 2147483712 bytes, and the format can have at most "
                 "2147483647; write snapshot_format: HDF5");
  caffe::SolverParameter hdf5 = Solver("SGD");
  hdf5.set_snapshot_format(caffe::SolverParameter::HDF5);
  REQUIRE_OK(CheckModelSize(hdf5, {}, layout));
  // The product of dimensions does not fit 32 bits.
  REQUIRE_STATUS(CheckModelSize(Solver("SGD"), {}, Layout({{1 << 20, 1 << 14}})), absl::StatusCode::kInvalidArgument,
                 "68719476800 bytes");
  REQUIRE_OK(CheckModelSize(Solver("SGD"), {}, Layout({{1 << 14, 1 << 14}, {1 << 14}})));
}

TEST_CASE("a state of two histories is twice as large as its model, and a shared blob is in each layer of a model") {
  v1::ParameterLayout layout = Layout({{100}, {50}});
  REQUIRE_OK(CheckModelSize(Solver("SGD"), {}, layout, 800));
  REQUIRE_STATUS(CheckModelSize(Solver("Adam"), {}, layout, 800), absl::StatusCode::kInvalidArgument,
                 "the .solverstate of 150 parameters would have 1456 bytes");
  layout.add_shared()->set_blob(0);
  REQUIRE_STATUS(CheckModelSize(Solver("SGD"), {}, layout, 800), absl::StatusCode::kInvalidArgument,
                 "the .caffemodel of 150 parameters would have 1192 bytes");
}

}  // namespace samovar
