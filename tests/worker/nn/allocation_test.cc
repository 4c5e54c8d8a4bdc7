// After its first iteration a net allocates nothing. This program's malloc counts: it stands before the C library's for
// every library in the process. Not built with sanitizers, which bring a malloc of their own.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/base/thread_pool.h"
#include "common/caffe/net_filter.h"
#include "common/caffe/upgrade_net.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace {

std::atomic<int64_t> allocations{0};

}  // namespace

// Names of the C library's own, for programs that replace malloc. operator new calls malloc.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  ++allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}

namespace samovar {
namespace {

int64_t AllocationsOf(Net* net, int iterations) {
  const int64_t before = allocations;
  for (int i = 0; i < iterations; ++i) {
    if (!net->Forward(static_cast<uint64_t>(i), /*seed=*/1).ok()) return -1;
    if (!net->Backward([](uint64_t, uint64_t) {}).ok()) return -1;
  }
  return allocations - before;
}

// The first iteration may; those after it may not.
void CheckNet(const caffe::NetParameter& param, NetOptions options) {
  ThreadPool pool(GENERATE(1, 2));
  options.pool = &pool;
  const absl::StatusOr<std::unique_ptr<Net>> net = Net::Create(param, options);
  REQUIRE_OK(net);
  FillWeights(net->get(), 1, 0.05f);
  for (const NetInput& input : (*net)->inputs()) {
    for (size_t i = 0; i < input.tops[0].size(); ++i) input.tops[0][i] = static_cast<float>(i % 7) - 3;
  }
  CHECK(AllocationsOf(net->get(), 1) >= 0);
  CHECK(AllocationsOf(net->get(), 3) == 0);
}

struct ShippedNet {
  std::string file;
  Shape records;
  int batch_size;
};

TEST_CASE("the count sees what is allocated") {
  const int64_t before = allocations;
  std::vector<float> memory(100);
  memory.resize(10000);
  CHECK(memory.size() == 10000);
  CHECK(allocations == before + 2);
}

TEST_CASE("after the first iteration the nets that come with Samovar allocate nothing") {
  const ShippedNet shipped =
      GENERATE(ShippedNet{"lenet/lenet", {1, 28, 28}, 64}, ShippedNet{"cifar10_quick/cifar10_quick", {3, 32, 32}, 20},
               ShippedNet{"cifar10_full/cifar10_full", {3, 32, 32}, 7}, ShippedNet{"resnet20/resnet20", {3, 32, 32}, 3},
               ShippedNet{"caffenet/caffenet", {3, 227, 227}, 1}, ShippedNet{"googlenet/googlenet", {3, 224, 224}, 1},
               // Smaller images than theirs, which cost less.
               ShippedNet{"vgg16/vgg16", {3, 32, 32}, 1}, ShippedNet{"resnet50/resnet50", {3, 64, 64}, 2},
               ShippedNet{"squeezenet/squeezenet", {3, 99, 99}, 1}, ShippedNet{"mobilenet/mobilenet", {3, 96, 96}, 2},
               ShippedNet{"nin/nin", {3, 99, 99}, 1});
  INFO(shipped.file);
  const auto whole =
      LoadNet(std::string(SAMOVAR_SOURCE_DIR) + "/config/models/" + shipped.file + "_train_test.prototxt", nullptr,
              StorageTable());
  REQUIRE_OK(whole);
  caffe::NetState train;
  train.set_phase(caffe::TRAIN);
  const auto param = FilterNet(*whole, train);
  REQUIRE_OK(param);
  NetOptions options;
  options.batch_size = shipped.batch_size;
  options.input_shapes[param->layer(0).name()] = {shipped.records, {}};
  CheckNet(*param, options);
}

TEST_CASE("after the first iteration the other layers allocate nothing") {
  CheckNet(NetFromText(DataText(3) + R"(
    layer { name: "cut" type: "Slice" bottom: "data" top: "a" top: "b" slice_param { axis: 1 slice_point: 2 } }
    layer { name: "conv" type: "Convolution" bottom: "a" top: "conv" convolution_param { num_output: 6 kernel_size: 3 group: 2 dilation: 2 pad: 1 } }
    layer { name: "prelu" type: "PReLU" bottom: "conv" top: "prelu" }
    layer { name: "up" type: "Deconvolution" bottom: "prelu" top: "up" convolution_param { num_output: 4 kernel_size: 3 } }
    layer { name: "crop" type: "Crop" bottom: "up" bottom: "b" top: "crop" crop_param { axis: 2 } }
    layer { name: "lrn" type: "LRN" bottom: "crop" top: "lrn" lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 } }
    layer { name: "elu" type: "ELU" bottom: "lrn" top: "elu" }
    layer { name: "mvn" type: "MVN" bottom: "b" top: "mvn" }
    layer { name: "swish" type: "Swish" bottom: "mvn" top: "swish" }
    layer { name: "tile" type: "Tile" bottom: "swish" top: "tile" tile_param { axis: 1 tiles: 2 } }
    layer { name: "join" type: "Concat" bottom: "elu" bottom: "tile" top: "join" }
    layer { name: "norm" type: "BatchNorm" bottom: "join" top: "norm" }
    layer { name: "scale" type: "Scale" bottom: "norm" top: "scale" scale_param { bias_term: true } }
    layer { name: "drop" type: "Dropout" bottom: "scale" top: "drop" }
    layer { name: "mean" type: "Pooling" bottom: "drop" top: "mean" pooling_param { pool: AVE global_pooling: true } }
    layer { name: "ip" type: "InnerProduct" bottom: "mean" top: "ip" inner_product_param { num_output: 5 transpose: true } }
    layer { name: "tanh" type: "TanH" bottom: "ip" top: "tanh" }
    layer { name: "exp" type: "Exp" bottom: "ip" top: "exp" }
    layer { name: "bnll" type: "BNLL" bottom: "exp" top: "bnll" }
    layer { name: "sum" type: "Eltwise" bottom: "tanh" bottom: "bnll" top: "sum" eltwise_param { operation: MAX } }
    layer { name: "flat" type: "Reduction" bottom: "drop" top: "flat" loss_weight: 0.1 reduction_param { operation: SUMSQ } }
    layer { name: "hinge" type: "HingeLoss" bottom: "ip" bottom: "label" top: "hinge" }
    layer { name: "euclid" type: "EuclideanLoss" bottom: "exp" bottom: "tanh" top: "euclid" }
    layer { name: "accuracy" type: "Accuracy" bottom: "sum" bottom: "label" top: "accuracy" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss" })"),
           ImageOptions(caffe::TRAIN, 5, 9, 11));
}

}  // namespace
}  // namespace samovar
