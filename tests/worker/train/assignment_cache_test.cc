#include "worker/train/assignment_cache.h"

#include <vector>

#include "common/base/clock.h"
#include "common/rpc/dialer.h"
#include "tests/common/parameters/parameter_server.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/train/small_job.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

class Jobs {
 public:
  Jobs() : spec_(MakeJob(dir_.path())) {}

  v1::GetAssignmentResponse operator[](int number) const {
    v1::GetAssignmentResponse message;
    *message.mutable_spec() = spec_;
    message.mutable_spec()->set_job_id(absl::StrCat("job-", number));
    message.set_epoch(1);
    message.set_chunk_elements(kChunkElements);
    message.add_servers("127.0.0.1:1");
    return message;
  }

 private:
  const TempDir dir_;
  const v1::JobSpec spec_;
};

Assignment* Get(AssignmentCache* cache, const v1::GetAssignmentResponse& message, double seconds) {
  auto assignment = cache->Get(message, At(seconds));
  REQUIRE_OK(assignment);
  return *assignment;
}

TEST_CASE("an assignment is there when a worker comes back to its job") {
  const Jobs jobs;
  ThreadPool pool(1);
  Metrics metrics;
  ActivityClock clock{&metrics};
  AssignmentCache cache({&pool, &clock, Dialer(RpcOptions())});
  Assignment* const first = Get(&cache, jobs[1], 0);
  Get(&cache, jobs[2], 1);
  CHECK(Get(&cache, jobs[1], 2) == first);
  CHECK(cache.size() == 2);
  cache.Drop("job-1");
  cache.Drop("job-3");
  CHECK(cache.size() == 1);
}

TEST_CASE("an assignment that has changed is opened anew") {
  const Jobs jobs;
  ThreadPool pool(1);
  Metrics metrics;
  ActivityClock clock{&metrics};
  AssignmentCache cache({&pool, &clock, Dialer(RpcOptions())});
  Get(&cache, jobs[1], 0);
  v1::GetAssignmentResponse again = jobs[1];
  again.set_epoch(2);
  CHECK(Get(&cache, again, 1)->epoch() == 2);
  CHECK(cache.size() == 1);
}

TEST_CASE("no more than a few assignments are open, and none that is not worked for") {
  const Jobs jobs;
  ThreadPool pool(1);
  Metrics metrics;
  ActivityClock clock{&metrics};
  AssignmentCache cache({&pool, &clock, Dialer(RpcOptions())});
  const int more = static_cast<int>(AssignmentCache::kMaxOpen) + 1;
  for (int i = 1; i <= more; ++i) Get(&cache, jobs[i], i);
  CHECK(cache.size() == AssignmentCache::kMaxOpen);
  // The first of them was closed.
  Assignment* const last = Get(&cache, jobs[more], more);
  CHECK(Get(&cache, jobs[more], more + 1) == last);
  Get(&cache, jobs[more], 1000);
  CHECK(cache.size() == 1);
}

// A job with --encoding topk, at two servers with a chunk each.
struct SparseJob {
  SparseJob() {
    v1::JobSpec spec = MakeJob(dir.path());
    spec.mutable_consistency()->set_encoding(v1::ENCODING_SPARSE);
    spec.mutable_consistency()->set_topk_ratio(0.01);
    for (uint32_t i = 0; i < 2; ++i) {
      servers.push_back(
          std::make_unique<ParameterServer>(dir.File(absl::StrCat("server-", i)), OpenRequestFor(spec, 2, 1), i));
      assignment.add_servers(servers[i]->address());
      assignment.add_incarnations(100 + i);
    }
    *assignment.mutable_spec() = spec;
    assignment.set_epoch(1);
    assignment.set_chunk_elements(kChunkElements);
    assignment.set_opening(5);
    ParameterClient& client = Get(&cache, assignment, 0)->parameters();
    std::vector<float> gradients(kElements);
    for (size_t i = 0; i < kElements; ++i) gradients[i] = static_cast<float>(i % 7);
    client.StartPush(0, 1, gradients, {});
    client.Ready(0, kElements);
    REQUIRE_OK(client.AwaitPush({SteadyNow() + absl::Seconds(60), nullptr}));
    norm = client.ResidualNorm();
    REQUIRE(norm > 0);
    // As after a recovery.
    assignment.set_placement(1);
  }
  double NormNow() { return Get(&cache, assignment, 1)->parameters().ResidualNorm(); }

  TempDir dir;
  std::vector<std::unique_ptr<ParameterServer>> servers;
  ThreadPool pool{1};
  Metrics metrics;
  ActivityClock clock{&metrics};
  AssignmentCache cache{{&pool, &clock, Dialer(RpcOptions())}};
  v1::GetAssignmentResponse assignment;
  double norm = 0;
};

TEST_CASE_METHOD(SparseJob, "an assignment that is opened anew goes on with what was kept of gradients") {
  SECTION("of all if no server is another process") { CHECK(NormNow() == norm); }
  SECTION("after a failure, too") {
    cache.Close("small");
    CHECK(cache.size() == 0);
    CHECK(NormNow() == norm);
  }
  SECTION("of those chunks alone whose servers are the same processes") {
    assignment.set_incarnations(1, 200);
    const double first = NormNow();
    CHECK(first > 0);
    CHECK(first < norm);
    assignment.set_incarnations(0, 200);
    CHECK(NormNow() == 0);
  }
  SECTION("not if the servers have gone back together") {
    assignment.set_opening(6);
    CHECK(NormNow() == 0);
  }
  SECTION("not if the job has ended") {
    cache.Drop("small");
    CHECK(NormNow() == 0);
  }
  SECTION("not if it is another job") {
    assignment.mutable_spec()->set_run(9);
    CHECK(NormNow() == 0);
  }
}

}  // namespace
}  // namespace samovar
