// The parameters of the nets in config/models: by their names and shapes a .caffemodel of others fits, or does not. No
// pass is run, so that large nets cost nothing.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/caffe/net_filter.h"
#include "common/caffe/upgrade_net.h"
#include "common/model/layout.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

// "train_test" or "deploy" of a folder, as a net for one record of the given shape.
std::unique_ptr<Net> Shipped(const std::string& folder, const std::string& kind, const Shape& record) {
  const std::string path =
      absl::StrCat(SAMOVAR_SOURCE_DIR, "/config/models/", folder, "/", folder, "_", kind, ".prototxt");
  const auto whole = LoadNet(path, nullptr, StorageTable());
  REQUIRE_OK(whole);
  NetOptions options;
  options.phase = kind == "deploy" ? caffe::TEST : caffe::TRAIN;
  caffe::NetState state;
  state.set_phase(options.phase);
  const auto param = FilterNet(*whole, state);
  REQUIRE_OK(param);
  if (kind != "deploy") {
    options.batch_size = 1;
    options.input_shapes[param->layer(0).name()] = {record, {}};
  }
  auto net = Net::Create(*param, options);
  REQUIRE_OK(net);
  return *std::move(net);
}

// "conv1 0 64x3x3x3" of each blob.
std::vector<std::string> Blobs(const Net& net) {
  std::vector<std::string> blobs;
  for (const v1::ParameterBlob& blob : net.layout().blobs()) {
    blobs.push_back(absl::StrCat(blob.layer(), " ", blob.index(), " ", absl::StrJoin(blob.shape(), "x")));
  }
  return blobs;
}

struct Count {
  uint64_t learned = 0;
  uint64_t statistics = 0;
};

Count CountOf(const Net& net) {
  Count count;
  for (const v1::ParameterBlob& blob : net.layout().blobs()) {
    (blob.lr_mult() > 0 ? count.learned : count.statistics) += BlobElements(blob);
  }
  return count;
}

struct ShippedNet {
  std::string folder;
  Shape record;
  Count count;
};

}  // namespace

TEST_CASE("the nets that come with Samovar have as many parameters as their papers and READMEs say") {
  const auto shipped = GENERATE(
      ShippedNet{"lenet", {1, 28, 28}, {431080, 0}}, ShippedNet{"cifar10_quick", {3, 32, 32}, {145578, 0}},
      ShippedNet{"cifar10_full", {3, 32, 32}, {89578, 0}}, ShippedNet{"resnet20", {3, 32, 32}, {272474, 1589}},
      ShippedNet{"caffenet", {3, 227, 227}, {60965224, 0}}, ShippedNet{"googlenet", {3, 224, 224}, {13378280, 0}},
      ShippedNet{"vgg16", {3, 224, 224}, {138357544, 0}},
      // 25,557,032, and the bias that the public weights have in conv1.
      ShippedNet{"resnet50", {3, 224, 224}, {25557032 + 64, 53173}},
      ShippedNet{"squeezenet", {3, 227, 227}, {1235496, 0}}, ShippedNet{"mobilenet", {3, 224, 224}, {4231976, 21915}},
      ShippedNet{"nin", {3, 224, 224}, {7595176, 0}});
  INFO(shipped.folder);
  const Count count = CountOf(*Shipped(shipped.folder, "train_test", shipped.record));
  CHECK(count.learned == shipped.count.learned);
  CHECK(count.statistics == shipped.count.statistics);
}

TEST_CASE("a model that a net's training makes fits the net that classifies") {
  const auto shipped = GENERATE(ShippedNet{"lenet", {1, 28, 28}, {}}, ShippedNet{"vgg16", {3, 224, 224}, {}},
                                ShippedNet{"resnet50", {3, 224, 224}, {}}, ShippedNet{"squeezenet", {3, 227, 227}, {}},
                                ShippedNet{"mobilenet", {3, 224, 224}, {}}, ShippedNet{"nin", {3, 224, 224}, {}});
  INFO(shipped.folder);
  const std::unique_ptr<Net> deploy = Shipped(shipped.folder, "deploy", {});
  CHECK(Blobs(*Shipped(shipped.folder, "train_test", shipped.record)) == Blobs(*deploy));
  CHECK(deploy->output_specs().outputs_size() == (shipped.folder == "lenet" ? 10 : 1000));
}

TEST_CASE("the nets that public weights are for have their layers' names and shapes") {
  struct PublicNet {
    std::string folder;
    Shape record;
    size_t blobs;
    std::vector<std::string> some;
  };
  const auto expected =
      GENERATE(PublicNet{"vgg16",
                         {3, 224, 224},
                         2 * 16,
                         {"conv1_1 0 64x3x3x3", "conv3_3 0 256x256x3x3", "conv5_3 1 512", "fc6 0 4096x25088",
                          "fc7 0 4096x4096", "fc8 0 1000x4096"}},
               PublicNet{"resnet50",
                         {3, 224, 224},
                         2 + 52 + 5 * 53 + 2,
                         {"conv1 0 64x3x7x7", "conv1 1 64", "bn_conv1 2 1", "scale_conv1 1 64",
                          "res2a_branch1 0 256x64x1x1", "bn2a_branch2a 0 64", "scale3d_branch2b 0 128",
                          "res4f_branch2b 0 256x256x3x3", "res5c_branch2c 0 2048x512x1x1", "fc1000 0 1000x2048"}},
               PublicNet{"squeezenet",
                         {3, 227, 227},
                         2 * 26,
                         {"conv1 0 64x3x3x3", "fire2/squeeze1x1 0 16x64x1x1", "fire5/expand3x3 0 128x32x3x3",
                          "fire9/expand1x1 0 256x64x1x1", "conv10 0 1000x512x1x1"}},
               PublicNet{"mobilenet",
                         {3, 224, 224},
                         27 + 5 * 27 + 2,
                         {"conv1 0 32x3x3x3", "conv1/bn 1 32", "conv2_1/dw 0 32x1x3x3", "conv5_6/sep 0 1024x512x1x1",
                          "conv6/dw/scale 1 1024", "conv6/sep/bn 0 1024", "fc7 0 1000x1024x1x1", "fc7 1 1000"}},
               PublicNet{"nin",
                         {3, 224, 224},
                         2 * 12,
                         {"conv1 0 96x3x11x11", "cccp2 0 96x96x1x1", "conv2 0 256x96x5x5", "conv4-1024 0 1024x384x3x3",
                          "cccp7-1024 0 1024x1024x1x1", "cccp8-1024 1 1000"}});
  INFO(expected.folder);
  const std::vector<std::string> blobs = Blobs(*Shipped(expected.folder, "train_test", expected.record));
  CHECK(blobs.size() == expected.blobs);
  for (const std::string& blob : expected.some) {
    INFO(blob);
    CHECK(std::find(blobs.begin(), blobs.end(), blob) != blobs.end());
  }
}

}  // namespace samovar
