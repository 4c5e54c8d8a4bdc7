#include "common/model/model_blobs.h"

#include <vector>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

struct Small {
  caffe::NetParameter net;
  v1::ParameterLayout layout;
  Small() {
    net.set_name("small");
    net.add_layer()->set_name("data");
    net.add_layer()->set_name("ip");
    v1::ParameterBlob* weights = layout.add_blobs();
    weights->set_layer("ip");
    weights->add_shape(1);
    weights->add_shape(2);
    v1::ParameterBlob* bias = layout.add_blobs();
    bias->set_layer("ip");
    bias->set_index(1);
    bias->add_shape(1);
    bias->set_offset(2);
    layout.set_elements(3);
  }
};

TEST_CASE("a model holds each layer's blobs with their shapes and values") {
  const Small small;
  const auto model = MakeModel(small.net, small.layout, std::vector<float>{1, 2, 3});
  REQUIRE_OK(model);
  CHECK(model->layer(0).blobs_size() == 0);
  REQUIRE(model->layer(1).blobs_size() == 2);
  const caffe::BlobProto& weights = model->layer(1).blobs(0);
  CHECK(weights.shape().dim_size() == 2);
  CHECK(weights.shape().dim(1) == 2);
  CHECK(std::vector<float>(weights.data().begin(), weights.data().end()) == std::vector<float>{1, 2});
  CHECK(model->layer(1).blobs(1).data(0) == 3);
}

TEST_CASE("a shared blob stands in each layer that uses it, under its number there") {
  Small small;
  small.net.add_layer()->set_name("twin");
  for (uint32_t index : {1, 0}) {
    v1::SharedParameter* shared = small.layout.add_shared();
    shared->set_layer("twin");
    shared->set_index(index);
    shared->set_blob(index);
  }
  const auto model = MakeModel(small.net, small.layout, std::vector<float>{1, 2, 3});
  REQUIRE_OK(model);
  REQUIRE(model->layer(2).blobs_size() == 2);
  CHECK(model->layer(2).blobs(0).SerializeAsString() == model->layer(1).blobs(0).SerializeAsString());
  CHECK(model->layer(2).blobs(1).SerializeAsString() == model->layer(1).blobs(1).SerializeAsString());
}

TEST_CASE("weights and layers that do not belong to the layout are refused") {
  Small small;
  REQUIRE_STATUS(MakeModel(small.net, small.layout, std::vector<float>{1}), absl::StatusCode::kInvalidArgument,
                 "3 parameters");
  small.layout.mutable_blobs(1)->set_layer("ip2");
  REQUIRE_STATUS(MakeModel(small.net, small.layout, std::vector<float>{1, 2, 3}), absl::StatusCode::kInvalidArgument,
                 "\"ip2\"");
}

}  // namespace
}  // namespace samovar
