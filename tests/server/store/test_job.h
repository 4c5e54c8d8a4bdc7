// The job that tests of the store open, and requests to it.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "samovar/v1/parameter.pb.h"

namespace samovar {

inline constexpr uint32_t kChunkElements = 4096;
inline constexpr uint64_t kElements = 10000;
// Of 4096, 4096 and 1808 floats.
inline constexpr uint32_t kChunks = 3;

inline uint32_t ChunkSize(uint32_t chunk) { return chunk == 2 ? kElements - 2 * kChunkElements : kChunkElements; }

// Constant rate 1/1024 and no momentum: with whole-numbered gradients all arithmetic is exact, so that tests can
// compare with ==.
inline constexpr float kRate = 1.0f / 1024;

// Job "job" on one server: two blobs of constant and random initial values. Momentum and decay are 0.
inline v1::OpenJobRequest MakeJob() {
  v1::OpenJobRequest job;
  job.set_job_id("job");
  job.set_epoch(1);
  job.set_chunk_elements(kChunkElements);
  job.set_servers(1);
  job.set_seed(42);
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk) job.add_chunks(chunk);
  v1::ParameterLayout* layout = job.mutable_layout();
  layout->set_elements(kElements);
  v1::ParameterBlob* weight = layout->add_blobs();
  weight->set_layer("ip");
  weight->add_shape(9000);
  weight->set_lr_mult(1);
  weight->set_decay_mult(1);
  weight->mutable_filler()->set_type("constant");
  weight->mutable_filler()->set_value(0.5f);
  v1::ParameterBlob* bias = layout->add_blobs();
  *bias = *weight;
  bias->set_index(1);
  bias->set_shape(0, 1000);
  bias->set_offset(9000);
  bias->mutable_filler()->set_type("uniform");
  bias->mutable_filler()->set_min(-1);
  bias->mutable_filler()->set_max(1);
  caffe::SolverParameter* solver = job.mutable_solver();
  solver->set_base_lr(kRate);
  solver->set_lr_policy("fixed");
  solver->set_max_iter(1000);
  return job;
}

inline std::vector<float> FloatsIn(const v1::ChunkData& data) {
  std::vector<float> values(data.payload().size() / sizeof(float));
  std::memcpy(values.data(), data.payload().data(), data.payload().size());
  return values;
}

inline void AddPush(v1::ExchangeRequest* request, uint32_t chunk, const std::vector<float>& gradient) {
  v1::ChunkData* data = request->add_push();
  data->set_chunk(chunk);
  data->set_payload(gradient.data(), gradient.size() * sizeof(float));
  // Computed from the newest weights, whatever they are: never late.
  data->set_version(std::numeric_limits<uint64_t>::max());
}

// A push of the same gradient value to each float of all chunks.
inline v1::ExchangeRequest MakePush(uint64_t iteration, float value) {
  v1::ExchangeRequest request;
  request.set_job_id("job");
  request.set_epoch(1);
  request.set_iteration(iteration);
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk)
    AddPush(&request, chunk, std::vector<float>(ChunkSize(chunk), value));
  return request;
}

inline v1::ExchangeRequest MakePull() {
  v1::ExchangeRequest request;
  request.set_job_id("job");
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk) request.add_pull(chunk);
  return request;
}

// Waits until all chunks hold the iterations below the watermark.
inline v1::ExchangeRequest MakeWaitingPull(uint64_t watermark) {
  v1::ExchangeRequest request = MakePull();
  request.set_waits(true);
  request.set_watermark(watermark);
  return request;
}

inline v1::ExchangeRequest MakeFrozenPull(uint64_t iteration) {
  v1::ExchangeRequest request = MakePull();
  request.set_frozen(true);
  request.set_frozen_iteration(iteration);
  return request;
}

}  // namespace samovar
