#include "cli/plan/backward_groups.h"

#include <algorithm>

namespace samovar {
namespace {

// Layers are put together until the group has this part of the job's floats or of its backward pass.
constexpr double kLeastPart = 0.12;

}  // namespace

std::vector<BackwardGroup> BackwardGroups(const JobShape& job, uint32_t chunk_elements) {
  double all_seconds = 0;
  for (const LayerShape& layer : job.layers) all_seconds += layer.backward.Of(job.batch);
  const uint64_t all = job.parameters();
  std::vector<BackwardGroup> groups;
  BackwardGroup open;
  uint64_t begin = all;
  uint64_t sent_from = all;
  for (size_t i = job.layers.size(); i-- > 0;) {
    const LayerShape& layer = job.layers[i];
    open.seconds.fixed += layer.backward.fixed;
    open.seconds.per_image += layer.backward.per_image;
    begin -= layer.parameters;
    // The chunk in which the layer begins waits for the layers below.
    const uint64_t complete = std::min(sent_from, (begin + chunk_elements - 1) / chunk_elements * chunk_elements);
    const bool last = i == 0;
    const uint64_t from = last ? 0 : complete;
    open.floats = static_cast<double>(sent_from - from);
    if (!last && open.floats < kLeastPart * static_cast<double>(all) &&
        open.seconds.Of(job.batch) < kLeastPart * all_seconds) {
      continue;
    }
    // Layers below all parameters: the last group is never empty.
    if (last && open.floats == 0 && !groups.empty()) {
      groups.back().seconds.fixed += open.seconds.fixed;
      groups.back().seconds.per_image += open.seconds.per_image;
      break;
    }
    groups.push_back(open);
    sent_from = from;
    open = {};
  }
  return groups;
}

}  // namespace samovar
