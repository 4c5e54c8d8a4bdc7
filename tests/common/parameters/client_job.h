// The job that tests of the client push to and pull from: one blob of 100,000 floats in 25 chunks.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/parameters/parameter_client.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

inline constexpr uint64_t kElements = 100'000;
inline constexpr uint32_t kChunkElements = 4096;
// The last one is of 1,696 floats.
inline constexpr uint32_t kChunks = 25;
// A rate of 1/1024 and whole-numbered gradients make all arithmetic exact, so that tests can compare with ==.
inline constexpr float kRate = 1.0f / 1024;
inline constexpr float kInitial = 0.5f;

inline v1::OpenJobRequest MakeJob(uint32_t servers) {
  v1::OpenJobRequest job;
  // So that what late pushes make of the weights can be told by hand.
  job.mutable_consistency()->set_staleness_scaling(v1::STALENESS_SCALING_NONE);
  job.set_job_id("job");
  job.set_epoch(1);
  job.set_chunk_elements(kChunkElements);
  job.set_servers(servers);
  job.mutable_layout()->set_elements(kElements);
  v1::ParameterBlob* blob = job.mutable_layout()->add_blobs();
  blob->set_layer("ip");
  blob->add_shape(kElements);
  blob->set_lr_mult(1);
  blob->mutable_filler()->set_type("constant");
  blob->mutable_filler()->set_value(kInitial);
  job.mutable_solver()->set_base_lr(kRate);
  job.mutable_solver()->set_lr_policy("fixed");
  job.mutable_solver()->set_max_iter(1000);
  return job;
}

inline WaitLimit Within(absl::Duration time) { return {SteadyNow() + time, nullptr}; }
// Far beyond what anything here takes.
inline WaitLimit Soon() { return Within(absl::Seconds(60)); }

}  // namespace samovar
