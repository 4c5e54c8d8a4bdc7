// The small job of the tests of exactness: its gradients, and the evidence in its weights of what was applied.
//
// The last floats of each chunk are statistics that a push adds up and nothing else touches. Every float stands for one
// iteration, and each part of it adds its own power of kPartBase: so that the weights themselves, apart from what any
// ledger says, tell how often each part of each iteration was applied, exactly.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/model/chunk_plan.h"
#include "samovar/v1/parameter.pb.h"
#include "tests/support/consistency.h"

namespace samovar {

using Weights = std::vector<float>;

inline constexpr uint32_t kWireChunkElements = ChunkPlan::kMinChunkElements;
// The last chunk is shorter.
inline constexpr uint32_t kWireChunks = 5;
inline constexpr uint64_t kWireElements = 4 * kWireChunkElements + 1000;
inline constexpr uint32_t kEvidence = 96;
inline constexpr uint64_t kWireIterations = 8;
// Up to five parts, each applied less than 16 times, are exact in a float.
inline constexpr float kPartBase = 16;

inline uint64_t WireBegin(uint32_t chunk) { return uint64_t{chunk} * kWireChunkElements; }
inline uint64_t WireEnd(uint32_t chunk) { return std::min(kWireElements, WireBegin(chunk + 1)); }

// In so many parts, or asynchronous (0). The rate falls with the iterations, and rounding depends on everything.
inline v1::OpenJobRequest MakeWireJob(uint32_t servers, uint32_t parts, const std::string& solver) {
  v1::OpenJobRequest job;
  job.set_job_id("job");
  job.set_epoch(1);
  job.set_chunk_elements(kWireChunkElements);
  job.set_servers(servers);
  job.set_seed(7);
  *job.mutable_consistency() = SyncIn(parts);
  job.mutable_layout()->set_elements(kWireElements);
  for (uint32_t chunk = 0; chunk < kWireChunks; ++chunk) {
    v1::ParameterBlob* weight = job.mutable_layout()->add_blobs();
    weight->set_layer(absl::StrCat("ip", chunk));
    weight->set_offset(WireBegin(chunk));
    weight->add_shape(static_cast<int64_t>(WireEnd(chunk) - WireBegin(chunk) - kEvidence));
    weight->set_lr_mult(1);
    weight->set_decay_mult(1);
    weight->mutable_filler()->set_type("uniform");
    weight->mutable_filler()->set_min(-1);
    v1::ParameterBlob* evidence = job.mutable_layout()->add_blobs();
    evidence->set_layer(absl::StrCat("statistics", chunk));
    evidence->set_offset(WireEnd(chunk) - kEvidence);
    evidence->add_shape(kEvidence);
    evidence->set_rule(v1::UPDATE_RULE_MOVING_AVERAGE);
    evidence->set_moving_average_fraction(1);
    evidence->mutable_filler()->set_type("constant");
  }
  caffe::SolverParameter* rule = job.mutable_solver();
  rule->set_type(solver);
  rule->set_base_lr(0.03f);
  rule->set_momentum(0.9f);
  rule->set_weight_decay(0.001f);
  rule->set_lr_policy("inv");
  rule->set_gamma(0.1f);
  rule->set_power(0.75f);
  rule->set_max_iter(kWireIterations);
  return job;
}

// The gradient that part `part` of iteration t pushes. Depends on the weights of all chunks, so that one that is too
// new anywhere shows everywhere.
inline Weights WireGradient(uint64_t t, uint32_t part, std::span<const float> weights) {
  float shared = 0;
  for (uint32_t chunk = 0; chunk < kWireChunks; ++chunk) shared += weights[WireBegin(chunk)];
  const float own = 0.1f + 0.37f * static_cast<float>(part) + 0.011f * static_cast<float>(t);
  float evidence = 1;
  for (uint32_t p = 0; p < part; ++p) evidence *= kPartBase;
  Weights gradient(kWireElements);
  for (uint32_t chunk = 0; chunk < kWireChunks; ++chunk) {
    const uint64_t first = WireEnd(chunk) - kEvidence;
    for (uint64_t i = WireBegin(chunk); i < first; ++i) gradient[i] = own * weights[i] + 0.01f * shared;
    for (uint64_t i = first; i < WireEnd(chunk); ++i) gradient[i] = (i - first) % kWireIterations == t ? evidence : 0;
  }
  return gradient;
}

// Whether each of the chunk's floats of evidence for iteration t says: all of that many parts (0: one), each once. Or,
// of what was not applied: none.
inline bool EvidenceIs(std::span<const float> weights, uint32_t chunk, uint64_t t, uint32_t parts, bool applied) {
  float expected = 0;
  for (uint32_t part = std::max(1u, parts); applied && part > 0; --part) expected = expected * kPartBase + 1;
  const uint64_t first = WireEnd(chunk) - kEvidence;
  for (uint64_t i = first + t; i < WireEnd(chunk); i += kWireIterations) {
    if (weights[i] != expected) return false;
  }
  return true;
}

}  // namespace samovar
