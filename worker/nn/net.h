// Net computes a Caffe net's outputs, and the gradient of its loss, from one flat vector of weights.
//
// The weights and the gradients of all layers lie in two flat vectors, blob after blob in net order, as layout() says;
// a layer works on its part of them in place, so that the weights pulled from a server are computed with, and the
// computed gradients are pushed, without a copy.
//
// Results depend on the weights, the records, the seed and the iteration alone: work is cut into pieces by the
// problem's size and the pieces' sums are added in piece order, so any number of threads gives the same bits.
//
// Thread safety: one thread at a time; that thread and the pool's do the work.
// Invariants:
//   (1) weights().size() == gradients().size() == layout().elements().
//   (2) after Create no method but Reshape allocates memory that grows with the problem.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/base/thread_pool.h"
#include "common/caffe/net_origin.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/layout.pb.h"
#include "worker/nn/engine.h"
#include "worker/nn/fed_layer.h"
#include "worker/nn/shape.h"

namespace samovar {

struct NetOptions {
  caffe::Phase phase = caffe::TRAIN;
  // By the name of each layer that a feed fills (fed_layer.h): the shapes of its tops for one record, after the
  // transform. A label is the shape without axes.
  std::map<std::string, std::vector<Shape>> input_shapes;
  // Records of a batch; 0: the layers' own numbers. Of several fed layers it is the first one's, and those of the
  // others are in proportion. The last records of a data set, fewer than a batch, take a net of their own.
  int batch_size = 0;
  // The net is of one of so many equal parts of a batch, whose gradients, losses and outputs are averaged: a loss that
  // is a sum over records counts so many times, and a loss whose mean over the parts is not the whole batch's is
  // refused (UNIMPLEMENTED).
  int parts = 1;
  // Shares the work of each layer; outlives the net. Null: the caller's thread alone.
  ThreadPool* pool = nullptr;
  // Every blob can be read after Forward. If not, layers may do the work of those right above them, whose blobs are
  // then not written (net_fusion.h), and in phase TEST blobs that nobody reads any more are written over; the outputs
  // and gradients are the same but for rounding.
  bool keep_blobs = false;
  // For messages: where the net's layers stand. Null: not known. Not used after Create.
  const NetOrigin* origin = nullptr;
  // By fed layers' names: why there are no input_shapes. Listed with all other errors of the net.
  std::map<std::string, absl::Status> input_errors;
};

// A layer that is fed from outside, and the memory of its tops, in order. The caller fills them before Forward; they
// are zero at first.
struct NetInput {
  std::string layer;
  std::vector<std::span<float>> tops;
};

// A blob as the last Forward left it. The memory is the net's; the next pass writes it.
struct NetBlob {
  Shape shape;
  std::span<const float> values;
};

// Bytes of the blobs that are needed while a layer runs: their values forward, and backward gradients too.
struct BlobNeed {
  uint64_t forward = 0;
  // 0 in phase TEST.
  uint64_t backward = 0;
};

struct NetGraph;

class SAMOVAR_ENGINE_API Net {
 public:
  // `net` is filtered for the phase; Split layers are inserted here. INVALID_ARGUMENT: the net is wrong; UNIMPLEMENTED:
  // it asks for something that is not offered; RESOURCE_EXHAUSTED: no memory for its blobs. Messages name layer and
  // field, where the layer stands, and blobs as the net's text does. The message lists all layers that are wrong, a
  // line each, but not errors that follow from another layer's.
  static absl::StatusOr<std::unique_ptr<Net>> Create(const caffe::NetParameter& net, const NetOptions& options);
  ~Net();
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  // Blobs in net order; those of a layer follow each other.
  const v1::ParameterLayout& layout() const;

  // The net for records of other shapes, given as in NetOptions::input_shapes. Weights and gradients keep their places
  // and values, so that spans of them stay valid; inputs() and blobs are others, and no backward pass is left to be
  // done. As much work as Create. INVALID_ARGUMENT: the net does not fit these shapes, or its parameters or outputs
  // would be others; it is unchanged then.
  absl::Status Reshape(const std::map<std::string, std::vector<Shape>>& input_shapes);
  // The shapes that the net is for at present.
  const std::map<std::string, std::vector<Shape>>& input_shapes() const { return options_.input_shapes; }

  // The caller fills the weights before Forward; they are zero at first. Gradients are written (not added to) by
  // Backward alone, so that those of one pass can be sent while the next one's Forward runs; those of blobs that do not
  // learn (lr_mult 0, or no loss above them) are zero, those of statistics are Forward's measurements. In phase TEST
  // layers keep the weights in an order of their own until weights() is called again: a span from before Forward is not
  // to be written after it.
  std::span<float> weights();
  std::span<float> gradients();

  // Records of a pass: those of the first fed layer, or, if there is none, of the first top of the net.
  int batch_size() const;
  // Layers that are fed, in net order.
  const std::vector<NetInput>& inputs() const;

  // A blob of more values is reported by their mean: results cross the network at each iteration, and nobody reads so
  // many.
  static constexpr int64_t kMaxOutputValues = 1024;

  // One entry a value of outputs(): the tops that no layer consumes, in alphabetical order as in Caffe.
  const v1::NetOutputs& output_specs() const;

  // INVALID_ARGUMENT: a label is not a class. OUT_OF_RANGE: in TRAIN, the loss is not finite. The message names the
  // layer. (A test before the first statistics of many BatchNorm layers has no finite loss, and the training that
  // follows does.) `first_record`: number, within the iteration, of the first record of this pass, if the iteration
  // takes several.
  absl::Status Forward(uint64_t iteration, uint64_t seed, uint64_t first_record = 0);

  // Gradients of the loss that the last Forward computed. Calls ready(begin, end) when the gradients [begin, end) of
  // the flat vector are final: once for each layer with parameters, last layer first; together they cover the vector
  // exactly once. FAILED_PRECONDITION: phase TEST, or no successful Forward came before.
  absl::Status Backward(absl::FunctionRef<void(uint64_t begin, uint64_t end)> ready);

  // The results of the last Forward. loss() is the sum over all tops of loss_weight times their values.
  std::span<const float> outputs() const;
  float loss() const;
  // Adds the outputs, times `weight`, to `sums`, which has an entry for each output of the net that `full` is of: of
  // the same net for more records. Values that this one does not have get nothing.
  void AddOutputs(const v1::NetOutputs& full, double weight, std::vector<double>* sums) const;

  // The blob of that name after the last Forward; if layers work on it in place, after the last of these. NOT_FOUND:
  // there is none; FAILED_PRECONDITION: it is not written, or was written over (NetOptions::keep_blobs).
  absl::StatusOr<NetBlob> FindBlob(const std::string& name) const;
  // Names of the blobs that the net's text has, each once, in net order.
  std::vector<std::string> BlobNames() const;

  // Memory of all blobs, data and gradients, in bytes; blobs that are never needed at the same time share it.
  uint64_t blob_bytes() const;
  BlobNeed blob_need(size_t layer) const;

  // Layers in net order, those that were inserted included.
  size_t layers() const;
  const caffe::LayerParameter& layer(size_t layer) const;
  // The layer whose passes do the work of this one: itself, unless a convolution has absorbed it
  // (NetOptions::keep_blobs).
  size_t computed_by(size_t layer) const;
  // Multiplications and additions, counted apart, that one pass of the layer is worth: those of its matrix products as
  // they are defined, padding included; backward, those of the gradients that are wanted. 0 for layers without matrix
  // products.
  double forward_flops(size_t layer) const;
  double backward_flops(size_t layer) const;
  // Called on the caller's thread after each layer's part of a pass, for measurements. Null: none. A layer that the net
  // does not run, backward, is not reported.
  void SetObserver(std::function<void(size_t layer, bool forward)> after_layer);

 private:
  Net(const caffe::NetParameter& param, const NetOptions& options, std::unique_ptr<NetGraph> graph);

  const caffe::NetParameter param_;
  NetOptions options_;
  std::unique_ptr<NetGraph> graph_;
};

}  // namespace samovar
