// A job and machines with round numbers, for tests of the model.
#pragma once

#include <string>

#include "cli/plan/cluster_model.h"
#include "cli/plan/job_shape.h"
#include "cli/plan/machine_profile.h"

namespace samovar {

// Four layers of 250,000 floats; a batch of 10 images computes 0.1 s, two thirds of it backward, or so many times less.
inline JobShape RoundJob(double faster = 1) {
  JobShape job;
  job.name = "round";
  for (int i = 0; i < 4; ++i) {
    LayerShape layer;
    layer.name = "layer" + std::to_string(i);
    layer.parameters = 250'000;
    layer.forward.per_image = 0.1 / 3 / 40 / faster;
    layer.backward.per_image = 0.2 / 3 / 40 / faster;
    job.layers.push_back(layer);
  }
  job.batch = 10;
  job.max_iter = 10'000;
  job.records = 1000;
  job.blob_bytes_per_image = 1e6;
  return job;
}

// One thread of the reference machine, and a network of so many bytes a second; 0: without limit.
inline Machine OneThread(double network) { return {"one thread", 1, 1, 1, network, 8e9}; }

inline ClusterSpec RoundCluster(uint32_t workers, uint32_t servers, double network) {
  ClusterSpec cluster;
  cluster.workers = workers;
  cluster.servers = servers;
  cluster.worker_machine = OneThread(network);
  cluster.server_machine = OneThread(network);
  return cluster;
}

// Processes that cost nothing: computing and the network are all that there is.
inline ProcessCosts NoCosts() { return ProcessCosts{}; }

}  // namespace samovar
