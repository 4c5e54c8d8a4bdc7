// Layer is one step of a net: it computes its top blobs from its bottom blobs and its weights, and the gradients back.
//
// Life: a factory (layer_registry.h) checks the prototxt's fields against the bottoms' shapes and declares the layer's
// tops and parameters; Bind gives it memory; then Forward and Backward, any number of times.
// Thread safety: one thread at a time; the layer spreads its own loops with Pass::loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "samovar/v1/layout.pb.h"
#include "worker/nn/kernels/pieces.h"
#include "worker/nn/kernels/scratch.h"
#include "worker/nn/shape.h"

namespace samovar {

// A named array between layers. The net owns the memory.
struct Blob {
  std::string name;
  Shape shape;
  // The name in the net's text, for messages: `name`, but for the tops of a Split layer that was inserted.
  std::string written_name;
  float* data = nullptr;
  // The loss's gradient by `data`; null if no layer below wants it.
  float* diff = nullptr;

  int64_t elements() const { return Elements(shape); }
  // Values that each step along axis 0 has; 1 for a blob without axes.
  int64_t record_elements() const { return RecordElements(shape); }
  // Length of axis 0; 1 for a blob without axes.
  int64_t records() const { return shape.empty() ? 1 : shape[0]; }
};

// The facts that a factory makes a layer of.
struct LayerContext {
  const caffe::LayerParameter& param;
  // Shapes of the bottoms, in order; their number is checked by the registry.
  std::vector<Shape> bottoms;
  caffe::Phase phase = caffe::TRAIN;
  // Keys the layer's random numbers: the same layer of the same net has the same number wherever it runs.
  uint64_t number = 0;
  // The shapes of the tops of a layer that is fed from outside, batch included.
  std::vector<Shape> fed_tops;
  // Records of a batch, instead of the layers' own numbers; 0: those.
  int batch_size = 0;
  // The batch of the net's first fed layer, by its own number; 0 if there is no such layer.
  int stated_batch_size = 0;
  // The bottoms' names in the net's text, for messages.
  std::vector<std::string> bottom_names;

  // For layers whose prototxt states whole shapes: the shape with the batch that is asked for. Beside a fed layer only
  // a shape as long as its batch is taken for a batch; an infogain matrix, say, is not.
  Shape ForBatch(Shape stated) const;
};

// One pass over the net.
struct Pass {
  uint64_t iteration;
  uint64_t seed;
  // Number, within the iteration, of the first record of this pass: an iteration may have several passes.
  uint64_t first_record;
  Loop loop;
  // False: the weights are those of the pass before, and LayerBinding::packed holds what that pass has left there.
  bool new_weights = true;
};

// Memory and duties of a layer, fixed before its first pass.
struct LayerBinding {
  std::vector<Blob*> bottoms;
  std::vector<Blob*> tops;
  // One entry a parameter blob: its weights and its gradient in the flat vectors. The gradient is null if it is not
  // wanted.
  std::vector<const float*> weights;
  std::vector<float*> gradients;
  // One entry a bottom: Backward is to write its diff.
  std::vector<bool> propagate_down;
  int threads = 1;
  // For arrays that the layer needs only while it runs: taken in Allocate, there from the first pass on.
  Scratch* scratch = nullptr;
  // For weights in the order in which Forward reads them: the same, or in phase TEST memory that nobody else has.
  Scratch* packed = nullptr;
};

class Layer {
 public:
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  const std::vector<Shape>& top_shapes() const { return top_shapes_; }
  // Layer name, index, shape and filler are set; multipliers and offset are the net's.
  const std::vector<v1::ParameterBlob>& parameters() const { return parameters_; }

  // The following are fixed by the factory.

  // Whether top 0 may have the memory of bottom 0, data and diff: Backward then finds the tops' data in the bottom.
  // If not, a layer that is written as working in place gets memory of its own.
  virtual bool can_work_in_place() const { return false; }
  // Whether Backward reads what Forward wrote to the tops (in place or not), so that no later layer may overwrite it.
  virtual bool backward_reads_tops() const { return false; }
  // Whether Backward exists at all.
  virtual bool has_backward() const { return true; }
  // Whether Backward can write the diff of this bottom.
  virtual bool has_gradient_of_bottom(size_t bottom) const { return bottom == 0; }
  // Whether Backward takes account of this top's diff. One that does so for several tops finds null diffs among them
  // where no loss depends on a top.
  virtual bool has_gradient_through_top(size_t top) const { return top == 0; }

  // Multiplications and additions, counted apart, that the definition of a pass asks for, in any implementation; filled
  // in by layers whose work is matrix products. Backward's depend on the gradients that are wanted, which Bind says.
  virtual double forward_flops() const { return 0; }
  virtual double backward_flops() const { return 0; }

  // RESOURCE_EXHAUSTED: no memory for the layer's buffers.
  absl::Status Bind(LayerBinding binding);

  // Reads the bottoms' data, writes the tops' data. Writes no gradient: those of the pass before may still be on their
  // way to servers.
  virtual absl::Status Forward(const Pass& pass) = 0;

  // Reads the tops' diff, writes (does not add to) the wanted parameter gradients and the wanted bottoms' diff; not
  // those of statistics. Called after Forward of the same pass, only if one of them is wanted.
  virtual void Backward(const Pass& pass) = 0;

  // Writes the gradients of statistics (AddStatistic), as the last Forward measured them. Called in the net's backward
  // pass, in phase TRAIN, whether or not Backward is.
  virtual void WriteStatistics() {}

 protected:
  Layer() = default;

  // Allocates the memory of the passes; binding() is set.
  virtual absl::Status Allocate() { return absl::OkStatus(); }

  // For factories.
  void AddTop(Shape shape) { top_shapes_.push_back(std::move(shape)); }
  void AddParameter(const std::string& layer, const Shape& shape, const caffe::FillerParameter& filler);
  // A parameter, zero at first, that is not learnt but measured: its "gradient" is the measurement of one pass, which
  // the server merges as a moving average (v1::UPDATE_RULE_MOVING_AVERAGE). Bound in every TRAIN net, also if backward
  // does not ask for it.
  void AddStatistic(const std::string& layer, const Shape& shape, float moving_average_fraction);

  const LayerBinding& binding() const { return binding_; }
  const Blob& bottom(size_t i) const { return *binding_.bottoms[i]; }
  const Blob& top(size_t i) const { return *binding_.tops[i]; }

 private:
  std::vector<Shape> top_shapes_;
  std::vector<v1::ParameterBlob> parameters_;
  LayerBinding binding_;
};

}  // namespace samovar
