#include "server/cluster/member_status.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/cluster/problems.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }
StatusTime TimeAt(double seconds) {
  return {At(seconds), absl::UnixEpoch() + absl::Hours(1000) + absl::Seconds(seconds)};
}

// A worker of two threads that has computed `rate` images a second for 20 s, with so much of a processor, and waited
// for weights a tenth of the time.
Membership::Worker Worker(uint64_t id, double rate, double cpu, double feed_share = 0) {
  Membership::Worker worker;
  worker.id = id;
  worker.description.set_name(absl::StrCat("w", id));
  worker.description.set_threads(2);
  for (int i = 0; i <= 80; ++i) {
    const double t = 0.25 * i;
    v1::WorkerFigures figures;
    figures.set_activity(v1::WORKER_ACTIVITY_COMPUTING);
    figures.set_records(static_cast<uint64_t>(t * rate));
    figures.set_compute_seconds((0.9 - feed_share) * t);
    figures.set_feed_wait_seconds(feed_share * t);
    figures.set_pull_wait_seconds(0.1 * t);
    figures.set_cpu_seconds(cpu * t);
    worker.figures.Add(At(t), figures);
    worker.heard = At(t);
  }
  return worker;
}

v1::ClusterStatus StatusOfWorkers(const std::vector<Membership::Worker>& workers) {
  v1::ClusterStatus status;
  std::map<uint64_t, uint64_t> job_of;
  for (const Membership::Worker& worker : workers) {
    *status.add_workers() = StatusOf(worker, "no job is running", TimeAt(20));
    job_of[worker.id] = 1;
  }
  FindStragglers(job_of, &status);
  return status;
}

TEST_CASE("a worker's status has its rate and the split of its time over the last ten seconds") {
  const v1::WorkerStatus status = StatusOf(Worker(3, 200, 1.8), "", TimeAt(20.1));
  CHECK(status.images_per_second() == Approx(200).epsilon(0.01));
  CHECK(status.compute_share() == Approx(0.9).epsilon(0.01));
  CHECK(status.pull_wait_share() == Approx(0.1).epsilon(0.01));
  CHECK(status.cpu_share() == Approx(0.9).epsilon(0.01));
  CHECK(status.rate_seconds() >= 10);
  CHECK(status.rate_seconds() <= 11.5);
  CHECK(status.silent_seconds() == Approx(0.1));
  CHECK(status.state() == "computes");
}

TEST_CASE("of a worker that is silent nothing is shown as current") {
  const v1::WorkerStatus status = StatusOf(Worker(3, 200, 1.8), "", TimeAt(24));
  CHECK(status.images_per_second() == 0);
  CHECK(status.compute_share() == 0);
  CHECK(status.state() == "has not been heard of for 4 s");
}

TEST_CASE("what a worker waits for is said in words") {
  Membership::Worker worker = Worker(1, 100, 1);
  v1::WorkerFigures figures = worker.figures.newest().counts;
  const auto state_of = [&](v1::WorkerActivity activity, double seconds) {
    figures.set_activity(activity);
    figures.set_activity_seconds(seconds);
    worker.figures.Add(At(20), figures);
    return StatusOf(worker, "no job is running", TimeAt(20)).state();
  };
  CHECK(state_of(v1::WORKER_ACTIVITY_IDLE, 5) == "idle: no job is running");
  CHECK(state_of(v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS, 7) == "waits for records to be read and decoded, for 7 s");
  v1::SilentServer* silent = worker.wait.add_silent();
  silent->set_address("10.0.0.5:7100");
  silent->set_silent_ms(3200);
  CHECK(state_of(v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS, 4) ==
        "waits for weights of server 10.0.0.5:7100, silent for 3 s, for 4 s");
  worker.wait.Clear();
  worker.wait.set_for_workers(true);
  CHECK(state_of(v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS, 4) == "waits for other workers' gradients, for 4 s");
  worker.errors = 1;
  worker.last_error = "job j: cannot open /data/x";
  worker.last_error_at = At(19);
  CHECK(state_of(v1::WORKER_ACTIVITY_RESTING, 0.2) == "failing: job j: cannot open /data/x");
}

TEST_CASE("a worker with a twentieth of a processor is named, with the reason, and no other") {
  const v1::ClusterStatus status =
      StatusOfWorkers({Worker(1, 200, 1.8), Worker(2, 210, 1.8), Worker(3, 11, 0.1), Worker(4, 190, 1.8)});
  CHECK(status.workers(0).straggler().empty());
  CHECK(status.workers(1).straggler().empty());
  CHECK(status.workers(3).straggler().empty());
  const std::string& told = status.workers(2).straggler();
  CHECK(absl::StrContains(told, "12.2 images/s"));
  CHECK(absl::StrContains(told, "others 222"));
  CHECK(absl::StrContains(told, "5 % of the processors"));
}

TEST_CASE("of two workers the slower one is named, and the reason may be its data") {
  const v1::ClusterStatus status = StatusOfWorkers({Worker(1, 20, 0.4, 0.8), Worker(2, 210, 1.8)});
  CHECK(absl::StrContains(status.workers(0).straggler(), "waits for records 80 % of the time"));
  CHECK(status.workers(1).straggler().empty());
  CHECK(StatusOfWorkers({Worker(1, 20, 0.4)}).workers(0).straggler().empty());
}

TEST_CASE("a server's rates are those of the last seconds, and none of one that is gone") {
  Membership membership;
  v1::RegisterServerRequest request;
  request.set_address("a:1");
  request.set_incarnation(1);
  for (int i = 0; i <= 60; ++i) {
    request.mutable_figures()->set_received_bytes(static_cast<uint64_t>(i) * 500'000);
    request.mutable_figures()->set_apply_seconds(0.25 * i);
    REQUIRE(membership.RegisterServer(request, At(0.5 * i)).ok());
  }
  v1::ServerStatus status = StatusOf(membership.servers()[0], TimeAt(30));
  CHECK(status.received_bytes_per_second() == Approx(1e6));
  CHECK(status.apply_load() == Approx(0.5));
  CHECK_FALSE(status.gone());
  status = StatusOf(membership.servers()[0], TimeAt(41));
  CHECK(status.gone());
  CHECK(status.received_bytes_per_second() == 0);
  // Another process begins anew, and the loss of the one before is remembered.
  request.set_incarnation(2);
  request.mutable_figures()->set_received_bytes(10);
  REQUIRE(membership.RegisterServer(request, At(42)).ok());
  CHECK(StatusOf(membership.servers()[0], TimeAt(42)).received_bytes_per_second() == 0);
  REQUIRE(membership.lost().size() == 1);
  CHECK(StatusOf(membership.lost()[0], TimeAt(42)).name() == "server a:1");
}

TEST_CASE("members that are refused again and again are one entry") {
  Membership membership;
  for (int i = 0; i < 1000; ++i) membership.NoteLost("worker old", "host", "was refused: version", At(i));
  REQUIRE(membership.lost().size() == 1);
  CHECK(membership.lost()[0].times == 1000);
  CHECK(membership.lost()[0].when == At(999));
  for (int i = 0; i < 100; ++i) membership.NoteLost(absl::StrCat("worker ", i), "", "has left", At(2000 + i));
  CHECK(membership.lost().size() == Membership::kMaxLost);
}

TEST_CASE("problems name the culprit, the worst first, and nothing is wrong with a cluster that works") {
  v1::ClusterStatus status = StatusOfWorkers({Worker(1, 200, 1.8), Worker(2, 210, 1.8)});
  status.set_unix_ms(1'000'000'000);
  v1::ServerStatus* server = status.add_servers();
  server->set_address("a:1");
  server->mutable_figures()->set_disk_bytes(uint64_t{100} << 30);
  server->mutable_figures()->set_disk_free_bytes(uint64_t{50} << 30);
  v1::JobStatus* job = status.add_jobs();
  job->set_job_id("lenet");
  job->set_state(v1::JOB_STATE_RUNNING);
  job->set_images_per_second(100);
  job->set_idle_seconds(0.2);
  CHECK(ProblemsOf(status).empty());

  server->mutable_figures()->set_disk_free_bytes(uint64_t{300} << 20);
  status.mutable_workers(1)->set_errors(4);
  status.mutable_workers(1)->set_last_error("job lenet: cannot open /data/x");
  status.mutable_workers(1)->set_last_error_unix_ms(999'999'000);
  job->set_images_per_second(0);
  job->set_idle_seconds(9);
  const std::vector<std::string> problems = ProblemsOf(status);
  REQUIRE(problems.size() == 3);
  CHECK(problems[0] == "job lenet stands still: no iteration for 9 s");
  CHECK(problems[1] == "server a:1: its disk is nearly full, 300 MB of 102400 MB are free");
  CHECK(problems[2] == "worker w2 (2) failed 1 s ago: job lenet: cannot open /data/x (4 times)");
  // One that left is not missed, nor one that is back; another is, and so is a server that no job needs, for a while.
  v1::LostMember* lost = status.add_lost();
  lost->set_name("worker w9 (9)");
  lost->set_lost_unix_ms(999'990'000);
  lost->set_reason(Membership::kHasLeft);
  CHECK(ProblemsOf(status).size() == 3);
  lost->set_reason("has been silent for 6 s");
  CHECK(ProblemsOf(status)[3] == "worker w9 (9), 10 s ago: has been silent for 6 s");
  lost->set_name("worker w1 (0)");
  status.mutable_workers(0)->set_joined_unix_ms(999'995'000);
  CHECK(ProblemsOf(status).size() == 3);
  v1::ServerStatus* ended = status.add_servers();
  ended->set_address("b:1");
  ended->set_silent_seconds(20);
  CHECK(ProblemsOf(status).size() == 4);
  ended->set_silent_seconds(70);
  CHECK(ProblemsOf(status).size() == 3);
  job->add_servers("b:1");
  CHECK(ProblemsOf(status).size() == 4);
  job->clear_servers();
  // A worker that one server does not answer, which others hear; not one that is silent itself, which is told already.
  const auto cut_off = [&] {
    return ProblemsOf(status).back().find("no answer from server a:1 for 5 s") != std::string::npos;
  };
  status.mutable_workers(1)->set_unanswered_by("a:1");
  status.mutable_workers(1)->set_unanswered_seconds(5);
  CHECK(cut_off());
  server->set_silent_seconds(4);
  CHECK_FALSE(cut_off());
  status.mutable_workers(1)->set_unanswered_seconds(0);
  server->set_silent_seconds(0);
  // It is over.
  status.mutable_workers(1)->set_last_error_unix_ms(900'000'000);
  CHECK(ProblemsOf(status).size() == 2);
}

}  // namespace
}  // namespace samovar
