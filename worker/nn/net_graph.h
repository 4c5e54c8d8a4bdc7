// The parts of a Net: the builder makes them, and the passes run them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "caffe.pb.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/layout.pb.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/layer.h"
#include "worker/nn/net.h"

namespace samovar {

// One layer, its blobs by number, and the gradients that its backward pass computes.
struct LayerNode {
  caffe::LayerParameter param;
  // The layer in the net's text, for messages: where it stands ("net.prototxt:12:1: ", or nothing), its name, and
  // `layer "ip" (InnerProduct)`. An inserted Split has the name of the layer whose top it splits.
  std::string place;
  std::string written_name;
  std::string written;
  std::unique_ptr<Layer> layer;
  std::vector<size_t> bottoms;
  std::vector<size_t> tops;
  // Tops of the last layer that this one has absorbed (net_fusion.h); empty if there is none.
  std::vector<size_t> writes;
  // The layer below that does this one's work, if one does (net_fusion.h); and the layers above whose work this one
  // does, from the lowest on: their parameters are bound after its own.
  std::optional<size_t> absorbed_by;
  std::vector<size_t> absorbs;
  // One entry a top.
  std::vector<float> loss_weights;
  // One entry a top: how often its loss counts, in a net of a part of the batch (net_parts.h).
  std::vector<float> loss_factors;
  // One entry a bottom: its diff is wanted.
  std::vector<bool> propagate_down;
  // One entry a parameter: its place in layout.blobs, which may be another layer's; and whether it learns (lr_mult is
  // not 0).
  std::vector<int> parameters;
  std::vector<bool> learns;
  // One entry a parameter that is a statistic: the weight of its measurement in the blob's gradient. 1 but for a shared
  // one, where the layers after this one keep only a part of it, each its moving average fraction.
  std::vector<float> statistic_shares;
  // Some gradient of this layer is wanted, and a loss stands above it.
  bool needs_backward = false;
  // The parameters that it owns are the floats [begin, end) of the flat vector, in layout.blobs from first_blob on.
  uint64_t begin = 0;
  uint64_t end = 0;
  int first_blob = 0;
};

// Where a blob's memory is: its own, or that of another blob, as of the bottom of a layer in place; and the floats of
// that memory before the blob's first one.
struct BlobMemory {
  size_t data;
  size_t diff;
  int64_t offset = 0;
};

// Gradient of one parameter that several layers share: each writes here, and it is added to the flat vector.
struct SharedGradient {
  int blob = 0;
  Buffer<float> part;
};

struct NetGraph {
  NetGraph() : loop(nullptr) {}

  caffe::Phase phase = caffe::TRAIN;
  Loop loop;
  int batch_size = 0;
  std::vector<LayerNode> nodes;
  // Blobs are addressed by layers: their places are fixed. A layer in place has a blob of its own, of the same name.
  std::vector<std::unique_ptr<Blob>> blobs;
  std::vector<BlobMemory> blob_memory;
  // Blobs that have the memory of another one, whose values it holds after a pass, or whose records do not follow one
  // another (net_fusion.h).
  std::set<size_t> unwritten;
  Buffer<float> memory;
  Scratch scratch;
  // In phase TEST; see LayerBinding.
  Scratch packed;
  bool new_weights = true;
  // One entry a layer.
  std::vector<BlobNeed> needs;
  // One entry a blob: after a pass its memory may have another's values (net_memory.h).
  std::vector<bool> overwritten;
  v1::ParameterLayout layout;
  Buffer<float> weights;
  Buffer<float> gradients;
  std::vector<std::unique_ptr<SharedGradient>> shared;
  std::vector<NetInput> inputs;

  std::vector<const Blob*> outputs;
  // One entry a blob: the weight of its values as an output, in a net of a part of the batch (net_parts.h).
  std::vector<float> output_factors;
  // One entry an output: that of its blob.
  std::vector<float> factors_of_outputs;
  v1::NetOutputs output_specs;

  std::function<void(size_t layer, bool forward)> after_layer;

  // The state of the passes.
  Pass pass{0, 0, 0, Loop(nullptr)};
  bool forward_done = false;
  float loss = 0;
  std::vector<float> output_values;
};

}  // namespace samovar
