// ElementwiseLayer applies one function to every value: y = f(x), dx = dy * f'(x). A function is a class with
//   BackwardReads reads() const;
//   void Forward(const float* x, float* y, int64_t n) const;
//   void Backward(const float* v, const float* dy, float* dx, int64_t n) const;   // v is x or y, as reads() says
// for arrays of at most kElementwiseBlock values, so that one which needs several loops finds its values in the cache,
// and scratch on the stack. y may be x if reads() is not kBottom; dx may be dy. Without Backward the layer has no
// gradient.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "worker/nn/layer.h"

namespace samovar {

constexpr int64_t kElementwiseBlock = 1024;

// The value that f' is computed from. The layer can have its bottom's memory unless that is x.
enum class BackwardReads { kNothing, kBottom, kTop };

// body(i) for i in [0, n), in a loop that may be vectorised: no i reads a value that another writes.
template <typename Body>
void ForEach(int64_t n, Body body) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) body(i);
}

// Both are there, so that a compiler chooses between vectors of them instead of branching.
inline float Choose(bool first, float yes, float no) { return first ? yes : no; }

// y = x, which may be the same.
inline void CopyValues(const float* x, float* y, int64_t n) {
  if (x != y) std::copy(x, x + n, y);
}

template <typename Function>
class ElementwiseLayer : public Layer {
 public:
  ElementwiseLayer(const Shape& shape, Function function) : function_(std::move(function)) { AddTop(shape); }

  bool can_work_in_place() const override { return function_.reads() != BackwardReads::kBottom; }
  bool backward_reads_tops() const override { return function_.reads() == BackwardReads::kTop; }
  bool has_backward() const override { return kHasBackward; }

  absl::Status Forward(const Pass& pass) override {
    Run(pass, [&](int64_t begin, int64_t n) { function_.Forward(bottom(0).data + begin, top(0).data + begin, n); });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    if constexpr (kHasBackward) {
      const float* values = function_.reads() == BackwardReads::kTop ? top(0).data : bottom(0).data;
      Run(pass, [&](int64_t begin, int64_t n) {
        function_.Backward(values + begin, top(0).diff + begin, bottom(0).diff + begin, n);
      });
    }
  }

 private:
  static constexpr bool kHasBackward = requires(const Function& function, const float* in, float* out) {
    function.Backward(in, in, out, int64_t{1});
  };

  template <typename Body>
  void Run(const Pass& pass, Body body) {
    constexpr int64_t kElementsPerPiece = 32 * kElementwiseBlock;
    pass.loop.Run(top(0).elements(), kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      for (; begin < end; begin += kElementwiseBlock) body(begin, std::min(kElementwiseBlock, end - begin));
    });
  }

  const Function function_;
};

template <typename Function>
std::unique_ptr<Layer> MakeElementwise(const LayerContext& context, Function function) {
  return std::make_unique<ElementwiseLayer<Function>>(context.bottoms[0], std::move(function));
}

}  // namespace samovar
