#include "cli/plan/memory_need.h"

#include <algorithm>

namespace samovar {
namespace {

// The programs and their libraries, stacks and buffers: resident memory in a run of LeNet, less weights and blobs.
constexpr double kWorkerProgramBytes = 110e6;
constexpr double kServerProgramBytes = 40e6;
// Requests of a worker that a server has under way (ParameterClient::kMaxInFlight of its kRequestBytes, and answers).
constexpr double kUnderWayBytes = 2 << 20;

}  // namespace

double WorkerBytes(const JobShape& job, const JobChoices& choices) {
  const double vector = 4.0 * static_cast<double>(job.parameters());
  double vectors = 2;
  if (choices.mode == v1::CONSISTENCY_SYNC) vectors += choices.parts > 1 ? 1 : 0;
  if (job.passes > 1) vectors += 1;
  if (choices.push_every > 1) vectors += 2;
  if (choices.encoding == v1::ENCODING_SPARSE) vectors += 1;
  const double images =
      choices.mode == v1::CONSISTENCY_SYNC ? static_cast<double>(job.batch) / choices.parts : job.batch;
  return kWorkerProgramBytes + vectors * vector + images * job.blob_bytes_per_image;
}

double ServerBytes(const JobShape& job, const JobChoices& choices, uint32_t servers, uint32_t workers) {
  const double share = 4.0 * static_cast<double>(job.parameters()) / servers;
  double vectors = 2.0 * (1 + job.history_vectors);
  // The weights before the last update, and sums that wait for their other half.
  if (choices.mode == v1::CONSISTENCY_SYNC) vectors += 2;
  return kServerProgramBytes + vectors * share + workers * std::min(kUnderWayBytes, share);
}

}  // namespace samovar
