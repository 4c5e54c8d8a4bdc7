#include "common/caffe/upgrade_net.h"

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/caffe/prototxt.h"
#include "google/protobuf/text_format.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using google::protobuf::FieldDescriptor;

absl::StatusOr<caffe::NetParameter> Upgraded(const std::string& text) {
  std::unique_ptr<SourceMap> map;
  auto net = ParseNet(text, "net.prototxt", &map);
  REQUIRE_OK(net);
  const caffe::NetParameter before = *net;
  const absl::Status status =
      UpgradeNet([&](const std::vector<FieldStep>& path) { return map->WherePath(before, path); }, &*net);
  if (!status.ok()) CHECK(net->SerializeAsString() == before.SerializeAsString());
  if (!status.ok()) return status;
  return net;
}

std::string Text(const caffe::NetParameter& net) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(net, &text);
  return text;
}

// Two nets that say the same.
void CheckSame(const std::string& old_text, const std::string& new_text) {
  const auto upgraded = Upgraded(old_text);
  REQUIRE_OK(upgraded);
  const auto expected = ParseNet(new_text, "new.prototxt");
  REQUIRE_OK(expected);
  CHECK(Text(*upgraded) == Text(*expected));
}

std::string Error(const std::string& text) {
  const auto net = Upgraded(text);
  CHECK(net.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(net.status().message());
}

}  // namespace

TEST_CASE("a layer of Caffe's old form becomes one of the present form") {
  CheckSame(R"(
    name: "old"
    layers {
      name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
      blobs_lr: 1 blobs_lr: 2 weight_decay: 250 weight_decay: 0
      include { phase: TRAIN } include { stage: "x" } loss_weight: 0.5
      convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "gaussian" std: 0.01 } }
    }
    layers { name: "shared" type: INNER_PRODUCT bottom: "conv1" top: "ip" param: "w" param: "b" blob_share_mode: STRICT
             blob_share_mode: PERMISSIVE exclude { phase: TEST } inner_product_param { num_output: 3 } })",
            R"(
    name: "old"
    layer {
      name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
      param { lr_mult: 1 decay_mult: 250 } param { lr_mult: 2 decay_mult: 0 }
      include { phase: TRAIN } include { stage: "x" } loss_weight: 0.5
      convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "gaussian" std: 0.01 } }
    }
    layer { name: "shared" type: "InnerProduct" bottom: "conv1" top: "ip" param { name: "w" share_mode: STRICT }
            param { name: "b" share_mode: PERMISSIVE } exclude { phase: TEST }
            inner_product_param { num_output: 3 } })");
}

TEST_CASE("every type of Caffe's old form has a name in the present one") {
  const std::pair<const char*, const char*> types[] = {{"ABSVAL", "AbsVal"},
                                                       {"ACCURACY", "Accuracy"},
                                                       {"ARGMAX", "ArgMax"},
                                                       {"BNLL", "BNLL"},
                                                       {"CONCAT", "Concat"},
                                                       {"CONTRASTIVE_LOSS", "ContrastiveLoss"},
                                                       {"CONVOLUTION", "Convolution"},
                                                       {"DATA", "Data"},
                                                       {"DECONVOLUTION", "Deconvolution"},
                                                       {"DROPOUT", "Dropout"},
                                                       {"DUMMY_DATA", "DummyData"},
                                                       {"ELTWISE", "Eltwise"},
                                                       {"EUCLIDEAN_LOSS", "EuclideanLoss"},
                                                       {"EXP", "Exp"},
                                                       {"FLATTEN", "Flatten"},
                                                       {"HDF5_DATA", "HDF5Data"},
                                                       {"HDF5_OUTPUT", "HDF5Output"},
                                                       {"HINGE_LOSS", "HingeLoss"},
                                                       {"IM2COL", "Im2col"},
                                                       {"IMAGE_DATA", "ImageData"},
                                                       {"INFOGAIN_LOSS", "InfogainLoss"},
                                                       {"INNER_PRODUCT", "InnerProduct"},
                                                       {"LRN", "LRN"},
                                                       {"MEMORY_DATA", "MemoryData"},
                                                       {"MULTINOMIAL_LOGISTIC_LOSS", "MultinomialLogisticLoss"},
                                                       {"MVN", "MVN"},
                                                       {"POOLING", "Pooling"},
                                                       {"POWER", "Power"},
                                                       {"RELU", "ReLU"},
                                                       {"SIGMOID", "Sigmoid"},
                                                       {"SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss"},
                                                       {"SILENCE", "Silence"},
                                                       {"SLICE", "Slice"},
                                                       {"SOFTMAX", "Softmax"},
                                                       {"SOFTMAX_LOSS", "SoftmaxWithLoss"},
                                                       {"SPLIT", "Split"},
                                                       {"TANH", "TanH"},
                                                       {"THRESHOLD", "Threshold"},
                                                       {"WINDOW_DATA", "WindowData"}};
  // All but NONE.
  REQUIRE(std::size(types) + 1 == static_cast<size_t>(caffe::V1LayerParameter::LayerType_descriptor()->value_count()));
  std::string old_text;
  std::string new_text;
  for (const auto& [old_type, new_type] : types) {
    old_text += std::string("layers { name: \"n\" type: ") + old_type + " }\n";
    new_text += std::string("layer { name: \"n\" type: \"") + new_type + "\" }\n";
  }
  CheckSame(old_text, new_text);
}

TEST_CASE("every parameter of a layer in Caffe's old form is carried over") {
  int fields = 0;
  const auto* old_form = caffe::V1LayerParameter::descriptor();
  for (int i = 0; i < old_form->field_count(); ++i) {
    const FieldDescriptor* field = old_form->field(i);
    if (field->message_type() == nullptr || !absl::EndsWith(field->name(), "_param")) continue;
    ++fields;
    caffe::NetParameter net;
    caffe::V1LayerParameter* layer = net.add_layers();
    layer->set_type(caffe::V1LayerParameter::RELU);
    layer->GetReflection()->MutableMessage(layer, field);
    REQUIRE_OK(UpgradeNet([](const std::vector<FieldStep>&) { return "net"; }, &net));
    const auto* target = caffe::LayerParameter::descriptor()->FindFieldByName(field->name());
    INFO(field->name());
    REQUIRE(target != nullptr);
    CHECK(net.layer(0).GetReflection()->HasField(net.layer(0), target));
  }
  CHECK(fields == 30);
}

TEST_CASE("old transforms of data layers move to transform_param, over what is there") {
  CheckSame(R"(
    layers { type: DATA data_param { source: "x" scale: 0.5 mean_file: "m" crop_size: 3 mirror: true batch_size: 2 }
             transform_param { scale: 7 force_gray: true } }
    layers { type: IMAGE_DATA image_data_param { source: "x" crop_size: 4 } }
    layers { type: WINDOW_DATA window_data_param { source: "x" mirror: false } }
    layers { type: RELU data_param { scale: 3 } })",
            R"(
    layer { type: "Data" data_param { source: "x" batch_size: 2 }
            transform_param { scale: 0.5 mean_file: "m" crop_size: 3 mirror: true force_gray: true } }
    layer { type: "ImageData" image_data_param { source: "x" } transform_param { crop_size: 4 } }
    layer { type: "WindowData" window_data_param { source: "x" } transform_param { mirror: false } }
    layer { type: "ReLU" data_param { scale: 3 } })");
}

TEST_CASE("inputs of a net become its first layer") {
  const std::string rest = R"(layer { name: "a" type: "ReLU" bottom: "x" top: "y" } layer { name: "b" })";
  const std::string input = R"(layer { name: "input" type: "Input" top: "x" top: "z" input_param {
    shape { dim: 1 dim: 3 dim: 8 dim: 9 } shape { dim: 2 dim: 1 dim: 1 dim: 1 } } })";
  CheckSame("input: 'x' input: 'z' input_dim: [1, 3, 8, 9, 2, 1, 1, 1]" + rest, input + rest);
  CheckSame("input: 'x' input: 'z' input_shape { dim: [1, 3, 8, 9] } input_shape { dim: [2, 1, 1, 1] }" + rest,
            input + rest);
  CheckSame("input: 'x' input_dim: [1, 3, 8, 9] layers { name: 'a' type: RELU }",
            "layer { name: 'input' type: 'Input' top: 'x' input_param { shape { dim: [1, 3, 8, 9] } } } "
            "layer { name: 'a' type: 'ReLU' }");
}

TEST_CASE("three params of BatchNorm stand still, and other numbers of them are left alone") {
  CheckSame(
      "layer { type: 'BatchNorm' param { lr_mult: 1 } param { name: 'v' } param { decay_mult: 2 } } "
      "layer { type: 'BatchNorm' param { lr_mult: 1 } } "
      "layer { type: 'Scale' param { } param { } param { } }",
      "layer { type: 'BatchNorm' param { lr_mult: 0 decay_mult: 0 } param { name: 'v' lr_mult: 0 decay_mult: 0 } "
      "param { lr_mult: 0 decay_mult: 0 } } "
      "layer { type: 'BatchNorm' param { lr_mult: 1 } } "
      "layer { type: 'Scale' param { } param { } param { } }");
}

TEST_CASE("a net in the present form stays as it is") {
  const std::string text = "name: 'n' force_backward: true layer { name: 'a' type: 'Data' data_param { scale: 2 } }";
  CheckSame(text, text);
}

TEST_CASE("old nets that cannot be upgraded are refused where it stands") {
  CHECK(Error("layer { name: 'a' }\nlayers { type: RELU }") ==
        "net.prototxt:2:1: the net has \"layers\", of Caffe's old form, and \"layer\"; write all of them as layer { "
        "type: \"...\" }");
  CHECK(Error("layers { type: RELU }\nlayers {\n  bottom: 'x' layer { name: 'conv1' type: 'conv' } }") ==
        "net.prototxt:1:1: the net has layers of Caffe's first form and of its second; write all of them as layer { "
        "type: \"...\" }");
  CHECK(Error("\nlayers { name: 'a' }") ==
        "net.prototxt:2:1: layer \"a\" has no type; write for example type: CONVOLUTION");
  CHECK(Error("layers { name: 'a'\n type: NONE }") ==
        "net.prototxt:2:2: layer \"a\" has no type; write for example type: CONVOLUTION");
  CHECK(Error("layers { name: 'a' type: RELU include { }\n exclude { } }") ==
        "net.prototxt:2:2: layer \"a\" has include and exclude rules; keep those of one kind");
  CHECK(Error("layer { name: 'a' include { }\n  exclude { } }") ==
        "net.prototxt:2:3: layer \"a\" has include and exclude rules; keep those of one kind");
}

TEST_CASE("inputs without their shapes are refused where they stand") {
  CHECK(Error("name: 'n'\ninput: 'data' layer { bottom: 'data' }") ==
        "net.prototxt:2:1: input \"data\" has no shape; write for example input_shape { dim: 1 dim: 3 dim: 32 dim: 32 "
        "}");
  CHECK(Error("input: 'a' input: 'b'\ninput_dim: 1\ninput_dim: 2 layer { }") ==
        "net.prototxt:3:1: there are 2 values of input, but 2 of input_dim; write four for each");
  CHECK(Error("input: 'a' input: 'b'\ninput_shape { dim: 1 } layer { }") ==
        "net.prototxt:2:1: there are 2 values of input, but 1 of input_shape; write one for each");
}

TEST_CASE("an input without a shape beside a layer that makes it is dropped, as Caffe does") {
  CheckSame(
      "input: 'data' layer { name: 'a' type: 'Input' top: 'data' input_param { shape { dim: 1 } } } layer { name: 'b' "
      "type: 'ReLU' bottom: 'data' }",
      "layer { name: 'a' type: 'Input' top: 'data' input_param { shape { dim: 1 } } } layer { name: 'b' type: 'ReLU' "
      "bottom: 'data' }");
  CheckSame("input: 'unread' layers { name: 'b' type: RELU bottom: 'a' top: 'a' }",
            "layer { name: 'b' type: 'ReLU' bottom: 'a' top: 'a' }");
}

TEST_CASE("a net of the first form is that of the present one, with padding layers joined to what is above them") {
  CheckSame(R"(name: 'old'
    layers { layer { name: 'd' type: 'data' source: 'lmdb' batchsize: 64 scale: 0.5 meanfile: 'mean' cropsize: 20 mirror: true rand_skip: 3 } top: 'data' top: 'label' }
    layers { layer { name: 'p1' type: 'padding' pad: 2 } bottom: 'data' top: 'p1' }
    layers { layer { name: 'c1' type: 'conv' num_output: 8 kernelsize: 5 stride: 2 group: 2 biasterm: false
                     weight_filler { type: 'gaussian' std: 0.01 } blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 } bottom: 'p1' top: 'c1' }
    layers { layer { name: 'r1' type: 'relu' } bottom: 'c1' top: 'c1' }
    layers { layer { name: 'm1' type: 'pool' pool: AVE kernelsize: 3 stride: 2 pad: 1 } bottom: 'c1' top: 'm1' }
    layers { layer { name: 'n1' type: 'lrn' local_size: 3 alpha: 0.1 beta: 0.5 } bottom: 'm1' top: 'n1' }
    layers { layer { name: 'o1' type: 'dropout' dropout_ratio: 0.25 } bottom: 'n1' top: 'n1' }
    layers { layer { name: 'i1' type: 'innerproduct' num_output: 10 bias_filler { value: 1 } } bottom: 'n1' top: 'i1' }
    layers { layer { name: 'x1' type: 'concat' concat_dim: 0 } bottom: 'i1' bottom: 'i1' top: 'x1' }
    layers { layer { name: 'l1' type: 'softmax_loss' } bottom: 'x1' bottom: 'label' })",
            R"(name: 'old'
    layer { name: 'd' type: 'Data' top: 'data' top: 'label' data_param { source: 'lmdb' batch_size: 64 rand_skip: 3 }
            transform_param { scale: 0.5 mean_file: 'mean' crop_size: 20 mirror: true } }
    layer { name: 'c1' type: 'Convolution' bottom: 'data' top: 'c1' param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
            convolution_param { num_output: 8 kernel_size: 5 stride: 2 pad: 2 group: 2 bias_term: false weight_filler { type: 'gaussian' std: 0.01 } } }
    layer { name: 'r1' type: 'ReLU' bottom: 'c1' top: 'c1' }
    layer { name: 'm1' type: 'Pooling' bottom: 'c1' top: 'm1' pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
    layer { name: 'n1' type: 'LRN' bottom: 'm1' top: 'n1' lrn_param { local_size: 3 alpha: 0.1 beta: 0.5 } }
    layer { name: 'o1' type: 'Dropout' bottom: 'n1' top: 'n1' dropout_param { dropout_ratio: 0.25 } }
    layer { name: 'i1' type: 'InnerProduct' bottom: 'n1' top: 'i1' inner_product_param { num_output: 10 bias_filler { value: 1 } } }
    layer { name: 'x1' type: 'Concat' bottom: 'i1' bottom: 'i1' top: 'x1' concat_param { concat_dim: 0 } }
    layer { name: 'l1' type: 'SoftmaxWithLoss' bottom: 'x1' bottom: 'label' })");
}

TEST_CASE("all fields of the data layers of the first form find their places") {
  CheckSame(
      "layers { layer { name: 'a' type: 'images' source: 's' batchsize: 2 shuffle_images: true new_height: 3 "
      "new_width: 4 rand_skip: 5 } }",
      "layer { name: 'a' type: 'ImageData' image_data_param { source: 's' batch_size: 2 shuffle: true new_height: 3 "
      "new_width: 4 rand_skip: 5 } }");
  CheckSame(
      "layers { layer { name: 'a' type: 'window_data' source: 's' batchsize: 2 det_fg_threshold: 0.1 det_bg_threshold: "
      "0.2 det_fg_fraction: 0.3 "
      "det_context_pad: 4 det_crop_mode: 'square' } }",
      "layer { name: 'a' type: 'WindowData' window_data_param { source: 's' batch_size: 2 fg_threshold: 0.1 "
      "bg_threshold: 0.2 fg_fraction: 0.3 "
      "context_pad: 4 crop_mode: 'square' } }");
  CheckSame(
      "layers { layer { name: 'a' type: 'hdf5_data' source: 's' batchsize: 2 } } layers { layer { name: 'b' type: "
      "'infogain_loss' source: 'h' } }",
      "layer { name: 'a' type: 'HDF5Data' hdf5_data_param { source: 's' batch_size: 2 } } "
      "layer { name: 'b' type: 'InfogainLoss' infogain_loss_param { source: 'h' } }");
}

TEST_CASE("what is wrong in a net of the first form is named where it stands, behind padding layers too") {
  CHECK(Error("layers { layer { name: 'p' type: 'padding' } bottom: 'a' top: 'b' }\nlayers { layer { name: 'r' type: "
              "'relu' } bottom: 'b' top: 'c' }") ==
        "net.prototxt:2:1: layer \"r\" reads the padding layer \"p\"; only a conv or pool layer with one bottom can");
  CHECK(Error("layers { layer { name: 'p' type: 'padding' } bottom: 'a' top: 'b' }\nlayers { layer { name: 'r' type: "
              "'relu'\n kernelsize: 3 } }") ==
        "net.prototxt:3:2: layer \"r\": kernelsize has no meaning for type \"relu\"; remove it");
  CHECK(Error("layers { layer { name: 'r'\n type: 'convv' } }") ==
        "net.prototxt:2:2: layer \"r\" has the type \"convv\", which Caffe's first form does not have; did you mean "
        "\"conv\"?");
}

TEST_CASE("a model's net is upgraded with its blobs, whatever its layers are") {
  caffe::NetParameter model;
  model.add_input("data");
  caffe::V1LayerParameter* layer = model.add_layers();
  layer->set_name("ip");
  layer->add_blobs()->add_data(5);
  REQUIRE_OK(UpgradeModel(&model));
  CHECK(model.layers_size() + model.input_size() == 0);
  REQUIRE(model.layer_size() == 1);
  CHECK(model.layer(0).name() == "ip");
  CHECK(model.layer(0).blobs(0).data(0) == 5);

  model.add_layers();
  REQUIRE_STATUS(UpgradeModel(&model), absl::StatusCode::kInvalidArgument, "the net has \"layers\"");
}

TEST_CASE("a net in a file is upgraded as it is loaded") {
  TempDir dir;
  std::ofstream(dir.File("net.prototxt")) << "layers { name: \"a\" type: RELU }";
  const auto net = LoadNet(dir.File("net.prototxt"), nullptr, StorageTable());
  REQUIRE_OK(net);
  CHECK(net->layer(0).type() == "ReLU");
  std::ofstream(dir.File("net.prototxt")) << "name: \"x\"\nlayers { name: \"a\" }";
  REQUIRE_STATUS(LoadNet(dir.File("net.prototxt"), nullptr, StorageTable()), absl::StatusCode::kInvalidArgument,
                 dir.File("net.prototxt") + ":2:1: layer \"a\" has no type");
}

TEST_CASE("what CaffeOnSpark added has its numbers") {
  const auto net = ParseNet(R"(
    layer { source_class: "LMDB" cos_data_param { source: "s" batch_size: 2 shuffle: true dataframe_format: "json"
              top { name: "t" type: ENCODED_IMAGE_WITH_DIM channels: 3 height: 4 width: 5 sample_num_axes: 1
                    transform_param { scale: 2 } out_channels: 8 out_height: 9 out_width: 10 transpose: true } }
            memory_data_param { share_in_parallel: false source: "m" dataframe_column_select: "c" image_encoded: true
                                dataframe_format: "json" } })",
                            "net");
  REQUIRE_OK(net);
  const caffe::LayerParameter& layer = net->layer(0);
  // memory_data_param (119): share_in_parallel (10000), source (10001), ...
  CHECK(layer.memory_data_param().SerializeAsString() == std::string("\x80\xf1\x04\x00\x8a\xf1\x04\x01m\x92\xf1\x04\x01"
                                                                     "c\x98\xf1\x04\x01\xa2\xf1\x04\x04json",
                                                                     26));
  CHECK(layer.cos_data_param().top(0).SerializeAsString() ==
        std::string(
            "\x0a\x01t\x10\x07\x18\x03\x20\x04\x28\x05\x30\x01\x3a\x05\x0d\x00\x00\x00\x40\x40\x08\x48\x09\x50\x0a"
            "\x58\x01",
            28));
  CHECK(absl::StartsWith(layer.cos_data_param().SerializeAsString(), "\x0a\x01s\x10\x02\x18\x01\x22\x04json\x2a"));
  // source_class (10001), cos_data_param (10010)
  CHECK(absl::StrContains(layer.SerializeAsString(), "\x8a\xf1\x04\x04LMDB\xd2\xf1\x04"));
}

TEST_CASE("each layer of an upgraded net is known by its place in the text") {
  const TempDir dir;
  const auto places = [&dir](const std::string& text) {
    std::ofstream(dir.File("net.prototxt")) << text;
    std::vector<std::string> layers;
    const auto net = LoadNet(dir.File("net.prototxt"), &layers, StorageTable());
    REQUIRE_OK(net);
    REQUIRE(layers.size() == static_cast<size_t>(net->layer_size()));
    for (std::string& layer : layers) layer.erase(0, dir.File("net.prototxt").size());
    return layers;
  };
  CHECK(places("name: \"n\"\nlayer { name: \"a\" }\n  layer { name: \"b\" }\n") ==
        std::vector<std::string>{":2:1", ":3:3"});
  CHECK(places("layers { name: \"a\" type: RELU }\nlayers { name: \"b\" type: RELU }\n") ==
        std::vector<std::string>{":1:1", ":2:1"});
  // The layer of the inputs is the first, wherever they stand.
  CHECK(places("layer { name: \"a\" }\ninput: \"x\" input_shape { dim: 1 }\n") ==
        std::vector<std::string>{":2:1", ":1:1"});
}

TEST_CASE("a net of more layers than anybody means is refused before it is built") {
  caffe::NetParameter net;
  for (int i = 0; i < 100'000; ++i) net.add_layer()->set_type("ReLU");
  const auto where = [](const std::vector<FieldStep>& path) { return "net:" + std::to_string(path.back().index); };
  REQUIRE_OK(UpgradeNet(where, &net));
  net.add_layer();
  REQUIRE_STATUS(UpgradeNet(where, &net), absl::StatusCode::kInvalidArgument,
                 "net:100000: the net has 100001 layers; at most 100000 can be");
}

}  // namespace samovar
