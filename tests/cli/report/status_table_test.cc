#include "cli/report/status_table.h"

#include "tests/support/catch.h"

namespace samovar {

TEST_CASE("a server that was not heard of lately is not counted for a job that names no number") {
  v1::ClusterStatus status;
  for (const double silent : {0.0, 2.5, 9.0, 11.0, 5000.0}) status.add_servers()->set_silent_seconds(silent);
  CHECK(LiveServers(status) == 3);
}

TEST_CASE("a cluster's status is shown in aligned tables") {
  v1::ClusterStatus status;
  status.set_version("0.1.0");
  status.set_coordinator("127.0.0.1:7100");
  status.set_epoch(3);
  status.set_uptime_seconds(200);
  v1::ServerStatus* server = status.add_servers();
  server->set_address("127.0.0.1:7100");
  server->set_pid(41);
  server->set_apply_threads(2);
  server->set_silent_seconds(1.25);
  server->set_host("node-1");
  server->set_http("127.0.0.1:7180");
  server->set_received_bytes_per_second(12.3e6);
  server->set_sent_bytes_per_second(4.56e6);
  server->set_apply_load(0.5);
  server->mutable_figures()->set_chunks(6);
  server->mutable_figures()->set_parameter_bytes(34'500'000);
  server->mutable_figures()->set_disk_free_bytes(78'900'000'000);
  server->mutable_figures()->set_snapshot_age_seconds(10);
  v1::WorkerStatus* worker = status.add_workers();
  worker->set_worker_id(7);
  worker->set_name("worker-0");
  worker->set_pid(43);
  worker->set_threads(1);
  worker->set_isa("x86-64-v3");
  worker->set_host("node-2");
  worker->set_images_per_second(1553.4);
  worker->set_compute_share(0.91);
  worker->set_pull_wait_share(0.06);
  worker->set_cpu_share(0.95);
  worker->set_state("computes");
  worker->mutable_figures()->set_staleness_pushes(4);
  worker->mutable_figures()->set_staleness_p50(1);
  worker->mutable_figures()->set_staleness_p99(3);
  worker->mutable_figures()->set_staleness_max(7);
  worker->add_leases("train 500..520");
  worker->add_leases("test net 0 0..100");
  status.add_problems("server 127.0.0.1:7101 has been silent for 4 s");
  v1::JobStatus* job = status.add_jobs();
  job->set_job_id("lenet");
  job->set_state(v1::JOB_STATE_RUNNING);
  job->mutable_consistency()->set_mode(v1::CONSISTENCY_BOUNDED);
  job->mutable_consistency()->set_delay(4);
  job->set_iteration(500);
  job->set_completed_iterations(501);
  job->set_max_iter(2000);
  job->set_loss(0.5);
  job->set_images_per_second(3107);
  job->set_eta_seconds(31);
  job->add_snapshots(500);
  job->mutable_ledger()->set_watermark(498);
  job->mutable_ledger()->set_beyond(3);
  CHECK(
      StatusTable(status) ==
      "coordinator 127.0.0.1:7100, samovar 0.1.0, epoch 3, up 3 min 20 s, dashboard http://127.0.0.1:7180/ on node-1\n"
      "problems\n"
      "  server 127.0.0.1:7101 has been silent for 4 s\n"
      "servers\n"
      "  address         host    in MB/s  out MB/s  apply  queue  chunks  MB held  GB disk free  snapshot  last heard\n"
      "  127.0.0.1:7100  node-1  12       4.6       25%    0      6       34       78.9          11 s ago  1.2 s ago\n"
      "workers\n"
      "  id  name      host    threads  engine     images/s  compute  records  push  pull  cpu  staleness  last heard  "
      "state\n"
      "  7   worker-0  node-2  1        x86-64-v3  1553      91%      0%       0%    6%    95%  1/3/7      0.0 s ago   "
      "computes (train 500..520, test net 0 0..100)\n"
      "jobs\n"
      "  id     state    mode              iteration  ahead  loss  images/s  left  snapshots\n"
      "  lenet  RUNNING  bounded, delay 4  500/2000   3      0.5   3107      31 s  500\n");
}

TEST_CASE("what a cluster lacks is said in words") {
  const std::string table = StatusTable(v1::ClusterStatus());
  CHECK(table.find("no servers\nno workers\nno jobs\n") != std::string::npos);
}

TEST_CASE("a cluster's jobs are shown in a table, with what they wait for") {
  CHECK(JobsTable({}) == "no jobs\n");
  v1::ListJobsResponse jobs;
  v1::JobStatus* job = jobs.add_jobs();
  job->set_job_id("lenet");
  job->set_state(v1::JOB_STATE_RUNNING);
  job->set_iteration(500);
  job->set_max_iter(2000);
  job->set_images_per_second(3107);
  job->set_eta_seconds(31);
  job->set_workers(2);
  job->set_weight(3);
  job = jobs.add_jobs();
  job->set_job_id("cifar");
  job->set_state(v1::JOB_STATE_QUEUED);
  job->set_cause("waits for servers: 1 of 2 have registered");
  job->set_max_iter(100);
  job->set_weight(1);
  CHECK(JobsTable(jobs) ==
        "  id     state    iteration  images/s  left  workers  weight\n"
        "  lenet  RUNNING  500/2000   3107      31 s  2        3\n"
        "  cifar  QUEUED   0/100      -         -     -        1       waits for servers: 1 of 2 have registered\n");
}

TEST_CASE("a server that is no coordinator says so, and which one is") {
  v1::ClusterStatus status;
  status.set_version("0.1.0");
  status.set_coordinator("10.0.0.4:7400");
  status.add_servers()->set_address("10.0.0.5:7401");
  const std::string table = StatusTable(status);
  CHECK_THAT(table, Catch::StartsWith("server 10.0.0.5:7401, samovar 0.1.0, up "));
  CHECK_THAT(table, Catch::Contains("\nthis is a server, not the coordinator (which is 10.0.0.4:7400); for workers and "
                                    "jobs: samovar status 10.0.0.4:7400\n"));
  CHECK_THAT(table, !Catch::Contains("no workers") && !Catch::Contains("no jobs"));
  status.clear_coordinator();
  CHECK_THAT(StatusTable(status), Catch::Contains("not the coordinator (which it has not found yet)\n"));
  // A coordinator without workers is one all the same.
  status.set_coordinator("10.0.0.5:7401");
  CHECK_THAT(StatusTable(status), Catch::Contains("no workers\nno jobs\n"));
}

}  // namespace samovar
