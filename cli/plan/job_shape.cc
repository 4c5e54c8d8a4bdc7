#include "cli/plan/job_shape.h"

#include <algorithm>

#include "common/parameters/encoding.h"

namespace samovar {
namespace {

// Places and values of a listed float (common/parameters/sparse_floats.h).
constexpr double kListedBytes = 5;

double BytesOf(v1::Encoding encoding) {
  return static_cast<double>(EncodedBytes(encoding, kInt8Block)) / static_cast<double>(kInt8Block);
}

}  // namespace

uint64_t JobShape::parameters() const {
  uint64_t sum = 0;
  for (const LayerShape& layer : layers) sum += layer.parameters;
  return sum;
}

double JobShape::IterationSeconds() const {
  double pass = 0;
  for (const LayerShape& layer : layers) pass += layer.forward.Of(batch) + layer.backward.Of(batch);
  return pass * passes;
}

double PushBytes(const JobChoices& choices) {
  if (choices.encoding == v1::ENCODING_SPARSE) return kListedBytes * choices.topk_ratio;
  return BytesOf(choices.encoding);
}

double PullBytes(const JobChoices& choices) {
  return BytesOf(choices.encoding == v1::ENCODING_SPARSE ? v1::ENCODING_FLOAT32 : choices.encoding);
}

uint32_t PartsFor(uint32_t batch, uint32_t workers) {
  for (uint32_t parts = std::min(workers, batch); parts <= batch; ++parts) {
    if (batch % parts == 0) return parts;
  }
  return batch;
}

}  // namespace samovar
