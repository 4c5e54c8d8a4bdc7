// The net as a whole: layout, passes, threads.
#include "worker/nn/net.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/model/layout.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

NetOptions Digits(ThreadPool* pool = nullptr) { return ImageOptions(caffe::TRAIN, 1, 28, 28, pool); }

TEST_CASE("LeNet's layout lists its blobs in net order, with shapes, fillers and multipliers") {
  std::unique_ptr<Net> net = MakeNet(LeNetText(4), Digits());
  const v1::ParameterLayout& layout = net->layout();
  REQUIRE_OK(CheckLayout(layout));
  CHECK(layout.elements() == 431080);
  CHECK(net->weights().size() == 431080);
  CHECK(net->gradients().size() == 431080);
  REQUIRE(layout.blobs_size() == 8);
  CHECK(layout.blobs(2).layer() == "conv2");
  CHECK(layout.blobs(2).shape(1) == 20);
  CHECK(layout.blobs(2).filler().type() == "xavier");
  CHECK(layout.blobs(3).lr_mult() == 2);
  CHECK(layout.blobs(3).filler().type() == "constant");
  CHECK(layout.blobs(3).offset() == 520 + 25000);
}

TEST_CASE("gradients become ready layer by layer from the last one, and cover the vector once") {
  std::unique_ptr<Net> net = MakeNet(LeNetText(4), Digits());
  FillWeights(net.get(), 1, 0.05f);
  FillRecords(net.get(), 2, 10);
  REQUIRE_OK(net->Forward(0, 0));
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  REQUIRE_OK(net->Backward([&](uint64_t begin, uint64_t end) { ranges.emplace_back(begin, end); }));
  CHECK(ranges ==
        std::vector<std::pair<uint64_t, uint64_t>>{{426070, 431080}, {25570, 426070}, {520, 25570}, {0, 520}});
}

TEST_CASE("layers report their passes to an observer, and what these are worth in operations") {
  std::unique_ptr<Net> net = MakeNet(LeNetText(4), Digits());
  FillWeights(net.get(), 1, 0.05f);
  FillRecords(net.get(), 2, 10);
  std::vector<std::string> seen;
  net->SetObserver(
      [&](size_t layer, bool forward) { seen.push_back((forward ? "+" : "-") + net->layer(layer).name()); });
  Gradients(net.get());
  CHECK(seen == std::vector<std::string>{"+input", "+conv1", "+pool1", "+conv2", "+pool2", "+ip1", "+relu1", "+ip2",
                                         "+loss", "-loss", "-ip2", "-relu1", "-ip1", "-pool2", "-conv2", "-pool1",
                                         "-conv1"});
  net->SetObserver(nullptr);
  Gradients(net.get());
  CHECK(seen.size() == 17);
  REQUIRE(net->layers() == 9);
  CHECK(net->forward_flops(0) == 0);
  // 4 records of 20 planes of 24x24, each value of 25 taps and a bias; no gradient of the data.
  CHECK(net->forward_flops(1) == 4 * 11520 * 51);
  CHECK(net->backward_flops(1) == 4 * 11520 * 51);
  CHECK(net->forward_flops(3) == 4 * 3200 * 1001);
  CHECK(net->backward_flops(3) == 4 * 3200 * 2001);
  CHECK(net->forward_flops(5) == 4 * 500 * 1601);
  CHECK(net->backward_flops(5) == 4 * 500 * 3201);
  std::unique_ptr<Net> test = MakeNet(LeNetText(4), ImageOptions(caffe::TEST, 1, 28, 28));
  CHECK(test->backward_flops(3) == 0);
}

TEST_CASE("every blob of a net that keeps them can be read after a pass, by its name") {
  NetOptions options = Digits();
  options.keep_blobs = true;
  std::unique_ptr<Net> net = MakeNet(LeNetText(4), options);
  FillWeights(net.get(), 1, 0.05f);
  FillRecords(net.get(), 2, 10);
  REQUIRE_OK(net->Forward(0, 0));
  const absl::StatusOr<NetBlob> conv = net->FindBlob("conv1");
  REQUIRE_OK(conv);
  CHECK(conv->shape == Shape{4, 20, 24, 24});
  REQUIRE(conv->values.size() == 4 * 20 * 24 * 24);
  const absl::StatusOr<NetBlob> pool = net->FindBlob("pool1");
  REQUIRE_OK(pool);
  REQUIRE(pool->shape == Shape{4, 20, 12, 12});
  CHECK(pool->values[0] == std::max({conv->values[0], conv->values[1], conv->values[24], conv->values[25]}));
  // ReLU worked in place.
  const absl::StatusOr<NetBlob> ip = net->FindBlob("ip1");
  REQUIRE_OK(ip);
  CHECK(ip->shape == Shape{4, 500});
  CHECK(std::all_of(ip->values.begin(), ip->values.end(), [](float x) { return x >= 0; }));
  CHECK(std::any_of(ip->values.begin(), ip->values.end(), [](float x) { return x > 0; }));
  const absl::StatusOr<NetBlob> data = net->FindBlob("data");
  REQUIRE_OK(data);
  CHECK(data->values.data() == DataOf(net.get()).data());
  CHECK(net->FindBlob("loss")->values[0] == net->loss());
}

TEST_CASE("a blob that is not there, or not kept, is refused with what to do") {
  std::unique_ptr<Net> net = MakeNet(LeNetText(4), Digits());
  FillWeights(net.get(), 1, 0.05f);
  FillRecords(net.get(), 2, 10);
  REQUIRE_OK(net->Forward(0, 0));
  REQUIRE_OK(net->FindBlob("pool1"));
  REQUIRE_STATUS(net->FindBlob("conv1"), absl::StatusCode::kFailedPrecondition, "keep_blobs");
  REQUIRE_STATUS(net->FindBlob("pol1"), absl::StatusCode::kNotFound, "did you mean \"pool1\"");
}

TEST_CASE("blobs that are never needed at the same time share memory") {
  // Ten blobs of 4 x 1 x 64 x 64 floats, one after the other, and a loss of them.
  std::string text = DataText(4) + R"(layer { name: "p0" type: "Bias" bottom: "data" top: "p0" })";
  for (int i = 1; i < 10; ++i) {
    absl::StrAppend(&text, "layer { name: 'p", i, "' type: 'Power' bottom: 'p", i - 1, "' top: 'p", i,
                    "' power_param { power: 2 shift: 0.1 } }");
  }
  absl::StrAppend(&text, "layer { name: 'sum' type: 'Reduction' bottom: 'p9' top: 'sum' loss_weight: 1 }");
  constexpr uint64_t kBlob = 4 * 64 * 64 * sizeof(float);
  const auto blobs = [&](caffe::Phase phase, bool keep) {
    NetOptions options = ImageOptions(phase, 1, 64, 64);
    options.keep_blobs = keep;
    return static_cast<double>(MakeNet(text, options)->blob_bytes()) / static_cast<double>(kBlob);
  };
  // The records, and of the others the one that is read and the one that is written. With labels and the sum.
  CHECK(blobs(caffe::TEST, false) == Approx(3).margin(0.01));
  CHECK(blobs(caffe::TEST, true) == Approx(11).margin(0.01));
  // Gradients need two.
  CHECK(blobs(caffe::TRAIN, false) == Approx(13).margin(0.01));
  CHECK(blobs(caffe::TRAIN, true) == Approx(13).margin(0.01));
  std::unique_ptr<Net> net = MakeNet(text, ImageOptions(caffe::TEST, 1, 64, 64));
  REQUIRE_OK(net->Forward(0, 0));
  REQUIRE_STATUS(net->FindBlob("p4"), absl::StatusCode::kFailedPrecondition, "blobs share memory");
  REQUIRE_OK(net->FindBlob("data"));
  REQUIRE_OK(net->FindBlob("sum"));
}

TEST_CASE("a net of many branches computes the same whether its blobs share memory") {
  const std::string text = DataText(3) + R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
    layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "norm" batch_norm_param { use_global_stats: false } }
    layer { name: "scale" type: "Scale" bottom: "norm" top: "norm" scale_param { bias_term: true } }
    layer { name: "relu" type: "ReLU" bottom: "norm" top: "norm" }
    layer { name: "a" type: "Convolution" bottom: "norm" top: "a" convolution_param { num_output: 6 kernel_size: 1 } }
    layer { name: "a_relu" type: "ReLU" bottom: "a" top: "a" }
    layer { name: "b" type: "Pooling" bottom: "norm" top: "b" pooling_param { kernel_size: 3 stride: 1 pad: 1 } }
    layer { name: "c" type: "LRN" bottom: "norm" top: "c" }
    layer { name: "join" type: "Concat" bottom: "a" bottom: "b" bottom: "c" top: "join" }
    layer { name: "cut" type: "Slice" bottom: "join" top: "d" top: "e" top: "f" }
    layer { name: "sum" type: "Eltwise" bottom: "d" bottom: "e" bottom: "norm" top: "sum" }
    layer { name: "tanh" type: "TanH" bottom: "f" top: "tanh" }
    layer { name: "product" type: "Eltwise" bottom: "sum" bottom: "tanh" top: "product" eltwise_param { operation: PROD } }
    layer { name: "flat" type: "Flatten" bottom: "product" top: "flat" }
    layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip" inner_product_param { num_output: 10 } }
    layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" }
    layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }
    layer { name: "other" type: "Reduction" bottom: "tanh" top: "other" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" top: "p" })";
  const auto outputs = [&](bool keep) {
    NetOptions options = ImageOptions(caffe::TEST, 2, 9, 7);
    options.keep_blobs = keep;
    std::unique_ptr<Net> net = MakeNet(text, options);
    FillWeights(net.get(), 1, 0.05f);
    FillRecords(net.get(), 2, 10);
    std::vector<float> values;
    // The second pass finds the memory as the first left it.
    for (int pass = 0; pass < 2; ++pass) {
      REQUIRE_OK(net->Forward(0, 0));
      values.insert(values.end(), net->outputs().begin(), net->outputs().end());
    }
    return values;
  };
  const std::vector<float> shared = outputs(false);
  CHECK(shared == outputs(true));
  CHECK(std::all_of(shared.begin(), shared.end(), [](float value) { return std::isfinite(value); }));
  CHECK(std::equal(shared.begin(), shared.begin() + static_cast<ptrdiff_t>(shared.size() / 2),
                   shared.begin() + static_cast<ptrdiff_t>(shared.size() / 2)));
}

TEST_CASE("any number of threads computes the same bits") {
  auto compute = [](ThreadPool* pool) {
    std::unique_ptr<Net> net = MakeNet(LeNetText(37), Digits(pool));
    FillWeights(net.get(), 1, 0.05f);
    FillRecords(net.get(), 2, 10);
    std::vector<float> values = Gradients(net.get());
    values.push_back(net->loss());
    return values;
  };
  const std::vector<float> alone = compute(nullptr);
  for (int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    CHECK(compute(&pool) == alone);
  }
}

TEST_CASE("the batch of a net may be another than its layers say") {
  NetOptions options = Digits();
  options.batch_size = 10;
  std::unique_ptr<Net> net = MakeNet(LeNetText(24), options);
  std::unique_ptr<Net> small = MakeNet(LeNetText(10), Digits());
  CHECK(net->batch_size() == 10);
  CHECK(DataOf(net.get()).size() == 7840);
  CHECK(LabelsOf(net.get()).size() == 10);
  for (Net* each : {net.get(), small.get()}) {
    FillWeights(each, 1, 0.05f);
    FillRecords(each, 2, 10);
  }
  CHECK(Gradients(net.get()) == Gradients(small.get()));
  CHECK(net->loss() == small->loss());
}

TEST_CASE("LeNet learns a small batch by heart") {
  std::unique_ptr<Net> net = MakeNet(LeNetText(16), Digits());
  REQUIRE_OK(FillLayoutRange(net->layout(), 3, 0, net->weights()));
  FillRecords(net.get(), 2, 10);
  REQUIRE_OK(net->Forward(0, 0));
  CHECK(net->loss() > 1.5f);
  for (int step = 0; step < 60; ++step) {
    const std::vector<float> gradients = Gradients(net.get());
    for (size_t i = 0; i < gradients.size(); ++i) net->weights()[i] -= 0.02f * gradients[i];
  }
  REQUIRE_OK(net->Forward(60, 0));
  CHECK(net->loss() < 0.1f);
}

TEST_CASE("gradients of blobs that do not learn, or have no loss above them, are zero") {
  std::unique_ptr<Net> net = MakeNet(DataText(3) + R"(
      layer { name: "frozen" type: "InnerProduct" bottom: "data" top: "a" param { lr_mult: 0 } param { lr_mult: 0 }
              inner_product_param { num_output: 4 } }
      layer { name: "aside" type: "InnerProduct" bottom: "a" top: "aside" inner_product_param { num_output: 4 } }
      layer { name: "head" type: "InnerProduct" bottom: "a" top: "head" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" })",
                                     ImageOptions(caffe::TRAIN, 1, 1, 2));
  FillWeights(net.get(), 1);
  FillRecords(net.get(), 2, 3);
  for (float& gradient : net->gradients()) gradient = 7;
  const std::vector<float> gradients = Gradients(net.get());
  const size_t head = net->layout().blobs(4).offset();
  for (size_t i = 0; i < head; ++i) CHECK(gradients[i] == 0);
  float sum = 0;
  for (size_t i = head; i < gradients.size(); ++i) sum += std::abs(gradients[i]);
  CHECK(sum > 0);
}

TEST_CASE(
    "a layer that is told to pass no gradient down, and has none to keep, runs no backward, nor does what is below") {
  // Of the pool one top is read by such a layer, the other by none.
  std::unique_ptr<Net> net = MakeNet(DataText(3) + R"(
      layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 2 kernel_size: 1 } }
      layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" top: "mask" pooling_param { kernel_size: 2 } }
      layer { name: "relu" type: "ReLU" bottom: "pool" top: "pool" propagate_down: false }
      layer { name: "head" type: "InnerProduct" bottom: "pool" top: "head" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" })",
                                     ImageOptions(caffe::TRAIN, 1, 2, 2));
  FillWeights(net.get(), 1);
  FillRecords(net.get(), 2, 3);
  std::vector<std::string> backward;
  net->SetObserver([&](size_t layer, bool forward) {
    if (!forward) backward.push_back(net->layer(layer).name());
  });
  const std::vector<float> gradients = Gradients(net.get());
  CHECK(backward == std::vector<std::string>{"loss", "head"});
  const auto head = gradients.begin() + 4;
  CHECK(std::all_of(gradients.begin(), head, [](float gradient) { return gradient == 0; }));
  CHECK(std::any_of(head, gradients.end(), [](float gradient) { return gradient != 0; }));
}

TEST_CASE("outputs are the tops that no layer reads, in alphabetical order") {
  std::unique_ptr<Net> net = MakeNet(DataText(2) + R"(
      layer { name: "head" type: "InnerProduct" bottom: "data" top: "head" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" loss_weight: 0.5 }
      layer { name: "accuracy" type: "Accuracy" bottom: "head" bottom: "label" top: "accuracy" })",
                                     ImageOptions(caffe::TRAIN, 1, 1, 2));
  FillRecords(net.get(), 2, 3);
  REQUIRE_OK(net->Forward(0, 0));
  REQUIRE(net->output_specs().outputs_size() == 2);
  CHECK(net->output_specs().outputs(1).name() == "loss");
  CHECK(net->output_specs().outputs(1).loss_weight() == 0.5f);
  CHECK(net->output_specs().outputs(0).name() == "accuracy");
  // All weights are zero: every class scores the same.
  CHECK(net->outputs()[1] == Approx(std::log(3.0)));
  CHECK(net->outputs()[0] == 0);
  CHECK(net->loss() == Approx(0.5 * std::log(3.0)));
}

TEST_CASE("an output of many values is reported by their mean, and a net of fewer records adds to the same") {
  const auto net_of = [](int batch) {
    return MakeNet(DataText(batch) + R"(
        layer { name: "a" type: "Power" bottom: "data" top: "a" power_param { scale: 2 } loss_weight: 0.5 }
        layer { name: "b" type: "Silence" bottom: "label" }
        layer { name: "c" type: "Reduction" bottom: "data" top: "c" reduction_param { operation: SUM axis: 1 } })",
                   ImageOptions(caffe::TEST, 1, 1, 512));
  };
  std::unique_ptr<Net> full = net_of(4), few = net_of(2);
  for (Net* const net : {full.get(), few.get()}) {
    std::fill(DataOf(net).begin(), DataOf(net).end(), 0.25f);
    DataOf(net)[0] = 0.75f;
    REQUIRE_OK(net->Forward(0, 0));
  }
  // 2,048 values are too many, 1,024 are not.
  REQUIRE(full->output_specs().outputs_size() == 1 + 4);
  REQUIRE(few->output_specs().outputs_size() == 1024 + 2);
  CHECK(full->output_specs().outputs(0).mean_of() == 2048);
  CHECK(full->output_specs().outputs(1).mean_of() == 0);
  CHECK(full->outputs()[0] == Approx(0.5 + 1.0 / 2048));
  // What the output adds to the loss.
  CHECK(full->output_specs().outputs(0).loss_weight() * full->outputs()[0] == Approx(full->loss()));

  std::vector<double> sums(5, 0);
  full->AddOutputs(full->output_specs(), 4, &sums);
  few->AddOutputs(full->output_specs(), 2, &sums);
  CHECK(sums[0] == Approx(4 * (0.5 + 1.0 / 2048) + 2 * (0.5 + 1.0 / 1024)));
  CHECK(sums[1] == Approx(4 * 128.5 + 2 * 128.5));
  CHECK(sums[2] == Approx(4 * 128 + 2 * 128));
  // The smaller net has no third record.
  CHECK(sums[3] == Approx(4 * 128));
}

TEST_CASE("layers that share a parameter have one blob, and its gradient is the sum of theirs") {
  const std::string two = R"(
      layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" } inner_product_param { num_output: 4 bias_term: false } }
      layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "%" } inner_product_param { num_output: 4 bias_term: false } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "b" bottom: "label" top: "loss" })";
  auto with = [&](const std::string& name) { return DataText(3) + std::string(two).replace(two.find('%'), 1, name); };
  std::unique_ptr<Net> shared = MakeNet(with("w"), ImageOptions(caffe::TRAIN, 1, 2, 2));
  std::unique_ptr<Net> apart = MakeNet(with("v"), ImageOptions(caffe::TRAIN, 1, 2, 2));
  REQUIRE(shared->layout().elements() == 16);
  REQUIRE(apart->layout().elements() == 32);
  REQUIRE(shared->layout().shared_size() == 1);
  CHECK(shared->layout().shared(0).layer() == "b");
  CHECK(shared->layout().shared(0).blob() == 0);
  FillWeights(shared.get(), 1);
  std::copy(shared->weights().begin(), shared->weights().end(), apart->weights().begin());
  std::copy(shared->weights().begin(), shared->weights().end(), apart->weights().begin() + 16);
  FillRecords(shared.get(), 2, 4);
  FillRecords(apart.get(), 2, 4);
  const std::vector<float> sum = Gradients(shared.get());
  const std::vector<float> parts = Gradients(apart.get());
  for (size_t i = 0; i < 16; ++i) CHECK(sum[i] == parts[i + 16] + parts[i]);
  CHECK(Gradients(shared.get()) == sum);
}

TEST_CASE("a layer in place over what is needed later computes what it would compute elsewhere") {
  // Softmax needs its own top again, and a ReLU of negative slope its bottom.
  const std::string chain = R"(
      layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 4 } }
      layer { name: "s" type: "Softmax" bottom: "a" top: "S" }
      layer { name: "r" type: "ReLU" bottom: "S" top: "R" relu_param { negative_slope: -0.5 } }
      layer { name: "b" type: "InnerProduct" bottom: "R" top: "b" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "b" bottom: "label" top: "loss" })";
  auto named = [&](const std::string& s, const std::string& r) {
    std::string text = chain;
    for (size_t at; (at = text.find("\"S\"")) != std::string::npos;) text.replace(at, 3, "\"" + s + "\"");
    for (size_t at; (at = text.find("\"R\"")) != std::string::npos;) text.replace(at, 3, "\"" + r + "\"");
    std::unique_ptr<Net> net = MakeNet(DataText(5) + text, ImageOptions(caffe::TRAIN, 1, 2, 3));
    FillWeights(net.get(), 1);
    FillRecords(net.get(), 2, 3);
    return Gradients(net.get());
  };
  CHECK(named("a", "a") == named("x", "y"));
}

TEST_CASE("layers in place over the tops of a Split leave each other's values alone") {
  const auto gradients = [](const std::string& relu, const std::string& tanh) {
    std::unique_ptr<Net> net = MakeNet(DataText(5) + R"(
        layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 4 } }
        layer { name: "s" type: "Split" bottom: "a" top: "s0" top: "s1" top: "s2" top: "s3" }
        layer { name: "r" type: "ReLU" bottom: "s0" top: ")" +
                                           relu + R"(" }
        layer { name: "t" type: "TanH" bottom: "s1" top: ")" +
                                           tanh + R"(" }
        layer { name: "n" type: "Silence" bottom: "s3" }
        layer { name: "sum" type: "Eltwise" bottom: ")" +
                                           relu + "\" bottom: \"" + tanh + R"(" bottom: "s2" top: "sum" }
        layer { name: "b" type: "InnerProduct" bottom: "sum" top: "b" inner_product_param { num_output: 3 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "b" bottom: "label" top: "loss" })",
                                       ImageOptions(caffe::TRAIN, 1, 2, 3));
    FillWeights(net.get(), 1);
    FillRecords(net.get(), 2, 3);
    return Gradients(net.get());
  };
  CHECK(gradients("s0", "s1") == gradients("x", "y"));
  CHECK(gradients("s0", "y") == gradients("x", "y"));
}

TEST_CASE("a loss that is not finite is an error of its own, which names layer and remedy") {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::unique_ptr<Net> net = MakeNet(LeNetText(2), Digits());
    FillRecords(net.get(), 2, 10);
    FillWeights(net.get(), 1, 0.05f);
    net->weights()[430000] = bad;
    const absl::Status status = net->Forward(12, 0);
    REQUIRE_STATUS(status, absl::StatusCode::kOutOfRange, "the loss of layer \"loss\"");
    REQUIRE_STATUS(status, absl::StatusCode::kOutOfRange, "base_lr");
    REQUIRE_STATUS(net->Backward([](uint64_t, uint64_t) {}), absl::StatusCode::kFailedPrecondition, "forward pass");
  }
}

TEST_CASE("a label that is no class is an error which names record and blob") {
  std::unique_ptr<Net> net = MakeNet(LeNetText(3), Digits());
  for (float bad : {10.0f, -1.0f, 3e18f, std::numeric_limits<float>::quiet_NaN()}) {
    FillRecords(net.get(), 2, 10);
    LabelsOf(net.get())[1] = bad;
    REQUIRE_STATUS(net->Forward(5, 0), absl::StatusCode::kInvalidArgument, "record 1 of iteration 5");
  }
}

TEST_CASE("a net of phase TEST computes with the weights that it was given last") {
  const std::string text = absl::StrCat(DataText(3), R"(
      layer { name: "tiles" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 16 kernel_size: 3 pad: 1 } }
      layer { name: "places" type: "Convolution" bottom: "a" top: "b" convolution_param { num_output: 17 kernel_size: 1 } }
      layer { name: "few" type: "Convolution" bottom: "b" top: "c" convolution_param { num_output: 17 kernel_size: 3 group: 17 } }
      layer { name: "direct" type: "Convolution" bottom: "c" top: "d" convolution_param { num_output: 3 kernel_size: 5 stride: 2 } }
      layer { name: "end" type: "InnerProduct" bottom: "d" top: "end" inner_product_param { num_output: 4 } }
      layer { name: "labels" type: "Silence" bottom: "label" })");
  const NetOptions options = ImageOptions(caffe::TEST, 16, 14, 14);
  const auto outputs = [](Net* net) {
    FillRecords(net, 2, 3);
    REQUIRE_OK(net->Forward(0, 0));
    return std::vector<float>(net->outputs().begin(), net->outputs().end());
  };
  const std::unique_ptr<Net> net = MakeNet(text, options);
  std::vector<float> before;
  for (const uint64_t seed : {1, 2}) {
    FillWeights(net.get(), seed);
    const std::vector<float> first = outputs(net.get());
    CHECK(outputs(net.get()) == first);
    CHECK(first != before);
    before = first;
    const std::unique_ptr<Net> other = MakeNet(text, options);
    FillWeights(other.get(), seed);
    CHECK(outputs(other.get()) == first);
  }
}

TEST_CASE("a net of phase TEST refuses backward") {
  std::unique_ptr<Net> net = MakeNet(LeNetText(2), ImageOptions(caffe::TEST, 1, 28, 28));
  FillRecords(net.get(), 2, 10);
  REQUIRE_OK(net->Forward(0, 0));
  REQUIRE_STATUS(net->Backward([](uint64_t, uint64_t) {}), absl::StatusCode::kFailedPrecondition, "TEST");
}

}  // namespace
}  // namespace samovar
