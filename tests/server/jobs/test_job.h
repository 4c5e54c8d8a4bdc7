// A job of one server and two workers, Anna and Boris, for the tests of Job.
#pragma once

#include "server/jobs/job.h"
#include "tests/support/catch.h"

namespace samovar {

inline constexpr uint64_t kAnna = 1;
inline constexpr uint64_t kBoris = 2;
inline constexpr uint32_t kBatch = 10;

inline absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

inline v1::JobSpec SpecOf(int max_iter) {
  v1::JobSpec spec;
  spec.set_job_id("lenet");
  spec.set_servers(1);
  caffe::SolverParameter* solver = spec.mutable_solver();
  solver->set_max_iter(max_iter);
  solver->set_base_lr(0.1f);
  solver->set_lr_policy("fixed");
  v1::ParameterBlob* blob = spec.mutable_layout()->add_blobs();
  blob->set_layer("ip");
  blob->add_shape(8);
  blob->set_lr_mult(1);
  blob->set_decay_mult(1);
  spec.mutable_layout()->set_elements(8);
  v1::DatasetSpec* data = spec.mutable_train_data();
  data->set_layer("data");
  data->set_uri("train_lmdb");
  data->set_records(100);
  data->set_batch_size(kBatch);
  data->set_partitions(1);
  spec.mutable_train_outputs()->add_outputs()->set_name("loss");
  return spec;
}

inline v1::JobSpec WithTest(v1::JobSpec spec, int interval) {
  spec.mutable_solver()->set_test_interval(interval);
  spec.mutable_solver()->add_test_iter(10);
  spec.add_test_nets();
  *spec.add_test_data() = spec.train_data();
  spec.add_test_outputs()->add_outputs()->set_name("accuracy");
  return spec;
}

inline void Start(Job* job) {
  Job::Plan plan;
  plan.epoch = 3;
  plan.chunk_elements = 8;
  plan.servers = {"127.0.0.1:1"};
  job->Start(plan, At(0));
}

inline v1::WorkerReport DoneOf(const v1::WorkLease& lease, float loss = 1) {
  v1::WorkerReport report;
  for (uint64_t t = lease.train().begin(); t < lease.train().end(); ++t) {
    v1::TrainResult* result = report.add_train();
    result->set_job_id(lease.job_id());
    result->set_lease_id(lease.lease_id());
    result->set_iteration(t);
    result->set_loss(loss);
    result->add_outputs(loss);
  }
  return report;
}

inline v1::WorkerReport TestedOf(const v1::WorkLease& lease, double sum_per_record) {
  v1::WorkerReport report;
  v1::TestResult* result = report.add_test();
  result->set_job_id(lease.job_id());
  result->set_lease_id(lease.lease_id());
  result->set_frozen_iteration(lease.test().frozen_iteration());
  result->set_net(lease.test().net());
  result->set_begin(lease.test().begin());
  result->set_end(lease.test().end());
  result->add_sums(sum_per_record * static_cast<double>(lease.test().end() - lease.test().begin()));
  return report;
}

// Anna does all training that there is to lease. Returns the number of iterations.
inline uint64_t TrainAll(Job* job, double time = 1) {
  uint64_t done = 0;
  while (const auto lease = job->Lease(kAnna, 1, At(time))) {
    REQUIRE(lease->has_train());
    done += job->Report(kAnna, "anna", DoneOf(*lease), At(time));
  }
  return done;
}

inline v1::JobSpec InParts(v1::JobSpec spec, uint32_t parts) {
  spec.mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  spec.mutable_consistency()->set_parts(parts);
  return spec;
}

}  // namespace samovar
