// The meaning of a job's v1::Consistency, once for the command, the coordinator, servers and workers: in which order
// iterations are applied, which weights each is computed from, and which settings go together.
//
// Thread safety: stateless.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "caffe.pb.h"
#include "samovar/v1/consistency.pb.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// In iterations. Leases keep workers closer together than this.
inline constexpr uint32_t kMaxDelay = 1'000'000;
// In iterations. A worker that dies loses a unit, and nobody sees an iteration before its unit is done.
inline constexpr uint32_t kMaxPushEvery = 1000;
// A batch is not cut finer; keeps sizes from overflowing.
inline constexpr uint32_t kMaxParts = 1 << 16;

// Pushes that a chunk adds up to one iteration, where iterations are applied in their order: the parts of the mode
// sync, 1 with a delay of 0. Else 0: an iteration is one push, applied when it comes.
uint32_t PartsOf(const v1::Consistency& consistency);

// Whether chunks apply iterations in their order, each computed from the weights that it is applied to.
inline bool InOrder(const v1::Consistency& consistency) { return PartsOf(consistency) > 0; }

// Whether sums of the job's parts are other floats since it was begun: up to three parts have one order only.
bool SumsPartsAnew(const v1::Consistency& consistency);

// Whether servers clip the gradients: no worker has all parts of one, so that parts are pushed as they are, and applied
// when the norm of their sum is known.
bool ServersClip(const v1::Consistency& consistency, const caffe::SolverParameter& solver);

// The weights that iteration t may be computed from hold every iteration below this. None: any weights do.
std::optional<uint64_t> WatermarkFor(const v1::Consistency& consistency, uint64_t t);

// Whether chunks must not be further apart than training takes them: when a server is lost, all of them go back to one
// snapshot. Else the lost one's iterations are computed again, and the others go on from their weights.
inline bool GoesBackTogether(const v1::Consistency& consistency) { return consistency.mode() != v1::CONSISTENCY_ASYNC; }

// Iterations of a push: at least 1.
inline uint32_t PushEvery(const v1::Consistency& consistency) { return std::max(1u, consistency.push_every()); }

// Whether an iteration whose loss or gradient is not finite is skipped; else the job fails.
inline bool SkipsWhatIsNotFinite(const v1::Consistency& consistency) {
  return consistency.on_numeric_failure() == v1::NUMERIC_FAILURE_SKIP;
}

// OK if the fields go together with each other and with the solver. INVALID_ARGUMENT names the field that is wrong, and
// the settings that go together.
absl::Status CheckConsistency(const v1::Consistency& consistency, const caffe::SolverParameter& solver);

// The same of a whole job: its batches can be cut into the parts, and its snapshots and tests fall between units as
// well. REQUIRES: the batches are at least 1
absl::Status CheckConsistency(const v1::JobSpec& spec);

// Workers that can train together without loss of accuracy. So many updates by N workers are updates / N rounds, and in
// async mode no more than this leave the 250 rounds that one worker's result takes (benchmarks/staleness/README.md). At
// least 1; none: any number.
std::optional<uint64_t> WorkersWithoutLoss(const v1::Consistency& consistency, uint64_t max_iter);

// For people: that so many workers are more than that, and what to do. Empty: they are not, or the job is a trial of
// less than 1000 iterations.
std::string TooManyWorkersText(const v1::Consistency& consistency, uint64_t max_iter, uint64_t workers);

// "async", "bounded, delay 4", "sync in 8 parts, bfloat16", "async, staleness none, compensation 0.04", "async, topk
// 0.01", "async, a push every 8 iterations": for people.
std::string ConsistencyText(const v1::Consistency& consistency);

// Users' names for the values of the fields, in the order of the enum's numbers; the name of one ("unknown": this
// version does not know it), and the value of a name (of one that is none, the value 0).
//
// "async", "bounded", "sync".
std::vector<std::string> ModeNames();
std::string ModeName(v1::ConsistencyMode mode);
v1::ConsistencyMode ModeOf(absl::string_view name);
// "float32", "bfloat16", "float16", "int8", "topk".
std::vector<std::string> EncodingNames();
std::string EncodingName(v1::Encoding encoding);
v1::Encoding EncodingOf(absl::string_view name);
// "stretched", "none".
std::vector<std::string> StalenessScalingNames();
std::string StalenessScalingName(v1::StalenessScaling scaling);
v1::StalenessScaling StalenessScalingOf(absl::string_view name);
// "fail", "skip".
std::vector<std::string> NumericFailureNames();
std::string NumericFailureName(v1::NumericFailurePolicy policy);
v1::NumericFailurePolicy NumericFailureOf(absl::string_view name);

}  // namespace samovar
