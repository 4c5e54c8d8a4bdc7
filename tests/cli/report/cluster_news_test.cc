#include "cli/report/cluster_news.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

using Strings = std::vector<std::string>;

v1::ClusterStatus Cluster() {
  v1::ClusterStatus cluster;
  cluster.set_coordinator("c:1");
  cluster.set_version("1.0");
  cluster.set_epoch(3);
  cluster.add_servers()->set_address("s:1");
  v1::WorkerStatus* const worker = cluster.add_workers();
  worker->set_name("w");
  worker->set_worker_id(4);
  worker->set_host("node-1");
  v1::JobStatus* const job = cluster.add_jobs();
  job->set_job_id("lenet");
  job->set_state(v1::JOB_STATE_RUNNING);
  job->set_max_iter(100);
  return cluster;
}

}  // namespace

TEST_CASE("the first news of a cluster is what it consists of, and then each change once") {
  ClusterNews news;
  CHECK(news.Take(Cluster()) == Strings{"cluster of coordinator c:1, samovar 1.0, epoch 3", "server s:1 is there",
                                        "worker w (4) on node-1 is there", "job lenet is RUNNING, at iteration 0/100"});
  CHECK(news.Take(Cluster()).empty());
  v1::ClusterStatus later = Cluster();
  later.mutable_servers(0)->set_silent_seconds(5);
  later.add_problems("server s:1 has been silent for 5 s");
  later.mutable_jobs(0)->set_cause("waits for server s:1");
  later.mutable_jobs(0)->set_iteration(7);
  v1::WorkerStatus* const second = later.add_workers();
  second->set_name("w");
  second->set_worker_id(5);
  CHECK(news.Take(later) == Strings{"worker w (5) has joined", "server s:1 is not there any more",
                                    "job lenet is RUNNING: waits for server s:1, at iteration 7/100",
                                    "problem: server s:1 has been silent for 5 s"});
  // It has only become older.
  later.mutable_jobs(0)->set_cause("waits for server s:1 for 7 s");
  CHECK(news.Take(later).size() == 1);
  later.mutable_jobs(0)->set_cause("waits for server s:1 for 8 s");
  later.set_problems(0, "server s:1 has been silent for 16 s");
  CHECK(news.Take(later).empty());
  CHECK(news.Take(Cluster()).size() == 4);
}

TEST_CASE("a member that was silent, or at a coordinator before, has not joined but is back") {
  ClusterNews news;
  v1::ClusterStatus silent = Cluster();
  silent.mutable_servers(0)->set_silent_seconds(5);
  CHECK(news.Take(silent).size() == 3);
  CHECK(news.Take(Cluster()) == Strings{"server s:1 is back"});
  v1::ClusterStatus restarted;
  restarted.set_epoch(4);
  CHECK(news.Take(restarted).size() == 4);
  restarted = Cluster();
  restarted.set_epoch(4);
  CHECK(news.Take(restarted) ==
        Strings{"server s:1 is back", "worker w (4) on node-1 is back", "job lenet is RUNNING, at iteration 0/100"});
}

TEST_CASE("problems of two members are two, also if only a number in their names differs") {
  ClusterNews news;
  v1::ClusterStatus cluster = Cluster();
  news.Take(cluster);
  cluster.add_problems("server s:1 has been silent for 5 s");
  cluster.add_problems("server s:2 has been silent for 5 s");
  CHECK(news.Take(cluster).size() == 2);
}

TEST_CASE("a job that ends or is forgotten is news") {
  ClusterNews news;
  v1::ClusterStatus cluster = Cluster();
  news.Take(cluster);
  cluster.mutable_jobs(0)->set_state(v1::JOB_STATE_FAILED);
  cluster.mutable_jobs(0)->set_cause("loss is nan");
  CHECK(news.Take(cluster) == Strings{"job lenet is FAILED: loss is nan, at iteration 0/100"});
  cluster.clear_jobs();
  CHECK(news.Take(cluster) == Strings{"job lenet is forgotten"});
}

}  // namespace samovar
