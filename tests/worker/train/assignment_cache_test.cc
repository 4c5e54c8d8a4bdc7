#include "worker/train/assignment_cache.h"

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
  AssignmentCache cache(&pool);
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
  AssignmentCache cache(&pool);
  Get(&cache, jobs[1], 0);
  v1::GetAssignmentResponse again = jobs[1];
  again.set_epoch(2);
  CHECK(Get(&cache, again, 1)->epoch() == 2);
  CHECK(cache.size() == 1);
}

TEST_CASE("no more than a few assignments are open, and none that is not worked for") {
  const Jobs jobs;
  ThreadPool pool(1);
  AssignmentCache cache(&pool);
  const int more = static_cast<int>(AssignmentCache::kMaxOpen) + 1;
  for (int i = 1; i <= more; ++i) Get(&cache, jobs[i], i);
  CHECK(cache.size() == AssignmentCache::kMaxOpen);
  // The first of them was closed.
  Assignment* const last = Get(&cache, jobs[more], more);
  CHECK(Get(&cache, jobs[more], more + 1) == last);
  Get(&cache, jobs[more], 1000);
  CHECK(cache.size() == 1);
}

}  // namespace
}  // namespace samovar
