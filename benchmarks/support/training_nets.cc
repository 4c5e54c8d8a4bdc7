#include "benchmarks/support/training_nets.h"

#include <span>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/caffe/solver_bundle.h"
#include "common/model/layout.h"
#include "google/protobuf/text_format.h"

namespace samovar {
namespace {

constexpr char kInput[] = R"(
  layer { name: "input" type: "Data" top: "data" top: "label" data_param { batch_size: 1 backend: LMDB } })";

constexpr char kLeNet[] = R"(
  layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 }
          convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "xavier" } } }
  layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
  layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" param { lr_mult: 1 } param { lr_mult: 2 }
          convolution_param { num_output: 50 kernel_size: 5 weight_filler { type: "xavier" } } }
  layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
  layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1" param { lr_mult: 1 } param { lr_mult: 2 }
          inner_product_param { num_output: 500 weight_filler { type: "xavier" } } }
  layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
  layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param { lr_mult: 1 } param { lr_mult: 2 }
          inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" })";
constexpr char kLeNetSolver[] =
    "base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: 'inv' gamma: 0.0001 power: 0.75 max_iter: 10000";

constexpr char kQuick[] = R"(
  layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 }
          convolution_param { num_output: 32 pad: 2 kernel_size: 5 weight_filler { type: "gaussian" std: 0.0001 } } }
  layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
  layer { name: "relu1" type: "ReLU" bottom: "pool1" top: "pool1" }
  layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" param { lr_mult: 1 } param { lr_mult: 2 }
          convolution_param { num_output: 32 pad: 2 kernel_size: 5 weight_filler { type: "gaussian" std: 0.01 } } }
  layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
  layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
  layer { name: "conv3" type: "Convolution" bottom: "pool2" top: "conv3" param { lr_mult: 1 } param { lr_mult: 2 }
          convolution_param { num_output: 64 pad: 2 kernel_size: 5 weight_filler { type: "gaussian" std: 0.01 } } }
  layer { name: "relu3" type: "ReLU" bottom: "conv3" top: "conv3" }
  layer { name: "pool3" type: "Pooling" bottom: "conv3" top: "pool3" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
  layer { name: "ip1" type: "InnerProduct" bottom: "pool3" top: "ip1" param { lr_mult: 1 } param { lr_mult: 2 }
          inner_product_param { num_output: 64 weight_filler { type: "gaussian" std: 0.1 } } }
  layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param { lr_mult: 1 } param { lr_mult: 2 }
          inner_product_param { num_output: 10 weight_filler { type: "gaussian" std: 0.1 } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" })";
constexpr char kQuickSolver[] = "base_lr: 0.001 momentum: 0.9 weight_decay: 0.004 lr_policy: 'fixed' max_iter: 4000";

absl::StatusOr<TrainingNet> Parse(const std::string& net, const std::string& solver, Shape image) {
  TrainingNet result{{}, {}, std::move(image), 10};
  if (!google::protobuf::TextFormat::ParseFromString(kInput + net, &result.net) ||
      !google::protobuf::TextFormat::ParseFromString(solver, &result.solver)) {
    return absl::InternalError("a net of the benchmark is not prototxt");
  }
  return result;
}

}  // namespace

absl::StatusOr<TrainingNet> TrainingNetOf(const std::string& name) {
  if (name == "lenet") return Parse(kLeNet, kLeNetSolver, {1, 28, 28});
  if (name == "cifar10_quick") return Parse(kQuick, kQuickSolver, {3, 32, 32});
  return absl::NotFoundError(absl::StrCat("no net \"", name, "\"; there are lenet and cifar10_quick"));
}

absl::StatusOr<TrainingNet> TrainingNetOfFile(const std::string& solver_path, const Shape& image, int classes) {
  SAMOVAR_ASSIGN_OR_RETURN(const SolverBundle bundle, LoadSolver(solver_path, {}, /*values=*/nullptr, StorageTable()));
  return TrainingNet{bundle.train_net, bundle.solver, image, classes};
}

absl::StatusOr<std::unique_ptr<Net>> MakeNet(const TrainingNet& training, int batch_size, ThreadPool* pool) {
  NetOptions options;
  options.batch_size = batch_size;
  options.pool = pool;
  options.input_shapes[training.net.layer(0).name()] = {training.image, {}};
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Net> net, Net::Create(training.net, options));
  SAMOVAR_RETURN_IF_ERROR(FillLayoutRange(net->layout(), 1, 0, net->weights()));
  const uint64_t key = DeriveKey(RandomStream::kFiller, {7});
  const std::span<float> data = net->inputs()[0].tops[0];
  const std::span<float> labels = net->inputs()[0].tops[1];
  for (size_t i = 0; i < data.size(); ++i) data[i] = UnitFloat(Philox(key, 2, i)[0]);
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<float>(Philox(key, 3, i)[0] % static_cast<uint32_t>(training.classes));
  }
  return net;
}

}  // namespace samovar
