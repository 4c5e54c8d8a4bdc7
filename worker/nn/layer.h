// Layer is one step of a net: it computes its top blobs from its bottom blobs and its weights, and the gradients back.
//
// Life: a factory (layer_registry.h) checks the prototxt's fields against the bottoms' shapes and says what tops and
// parameters the layer has; Bind gives it memory; then Forward and Backward, any number of times.
// Thread safety: one thread at a time; the layer spreads its own loops with Pass::loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "samovar/v1/parameter.pb.h"
#include "worker/nn/pieces.h"
#include "worker/nn/shape.h"

namespace samovar {

// A named array between layers. The net owns the memory.
struct Blob {
  std::string name;
  Shape shape;
  float* data = nullptr;
  // The loss's gradient by `data`; null if no layer below wants it.
  float* diff = nullptr;

  int64_t record_elements() const { return RecordElements(shape); }
  // Values of the first `records` records; 1 for a blob without axes.
  int64_t elements(int records) const { return shape.empty() ? 1 : records * record_elements(); }
};

// What a factory needs to know.
struct LayerContext {
  const caffe::LayerParameter& param;
  // Shapes of the bottoms, in order; their number is checked by the registry.
  std::vector<Shape> bottoms;
  // Of the data layer.
  int batch_size = 0;
  // One record after the transform: [channels, height, width].
  Shape record;
};

// One pass over the net.
struct Pass {
  int records;
  uint64_t iteration;
  uint64_t seed;
  Loop loop;
};

// Memory and duties of a layer, fixed before its first pass.
struct LayerBinding {
  std::vector<Blob*> bottoms;
  std::vector<Blob*> tops;
  // One entry a parameter blob: its weights and its gradient in the flat vectors. The gradient is null if it is not wanted.
  std::vector<const float*> weights;
  std::vector<float*> gradients;
  // One entry a bottom: Backward is to write its diff.
  std::vector<bool> propagate_down;
  int batch_size = 0;
  int threads = 1;
};

class Layer {
 public:
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  const std::vector<Shape>& top_shapes() const { return top_shapes_; }
  // Layer name, index, shape and filler are set; multipliers and offset are the net's.
  const std::vector<v1::ParameterBlob>& parameters() const { return parameters_; }

  // Whether the only top may be the only bottom.
  virtual bool can_work_in_place() const { return false; }
  // Whether Backward reads what Forward wrote to the tops, so that no later layer may overwrite it.
  virtual bool backward_reads_tops() const { return false; }
  // Whether Backward exists at all.
  virtual bool has_backward() const { return true; }

  // RESOURCE_EXHAUSTED: no memory for the layer's buffers.
  absl::Status Bind(LayerBinding binding);

  // Reads the bottoms' data, writes the tops' data, of the first pass.records records.
  virtual absl::Status Forward(const Pass& pass) = 0;

  // Reads the tops' diff, writes (does not add to) the wanted parameter gradients and the wanted bottoms' diff.
  // Called after Forward of the same pass, only if one of them is wanted.
  virtual void Backward(const Pass& pass) = 0;

 protected:
  Layer() = default;

  // Allocates what the passes need; binding() is set.
  virtual absl::Status Allocate() { return absl::OkStatus(); }

  // For factories.
  void AddTop(Shape shape) { top_shapes_.push_back(std::move(shape)); }
  void AddParameter(const std::string& layer, const Shape& shape, const caffe::FillerParameter& filler);

  const LayerBinding& binding() const { return binding_; }
  const Blob& bottom(size_t i) const { return *binding_.bottoms[i]; }
  const Blob& top(size_t i) const { return *binding_.tops[i]; }

 private:
  std::vector<Shape> top_shapes_;
  std::vector<v1::ParameterBlob> parameters_;
  LayerBinding binding_;
};

}  // namespace samovar
