#include "server/store/chunk_walk.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/exceptions.h"

namespace samovar {
namespace {

// State that the lanes share.
struct Walk {
  Walk(std::shared_ptr<HostedJob> job, Lanes* lanes, absl::FunctionRef<absl::Status(size_t, Chunk&)> visit)
      : job(std::move(job)), lanes(lanes), visit(visit), busy_lanes(lanes->lanes()) {}

  const std::shared_ptr<HostedJob> job;
  Lanes* const lanes;
  // Its function lives until busy_lanes is 0.
  const absl::FunctionRef<absl::Status(size_t, Chunk&)> visit;

  absl::Mutex mu;
  int busy_lanes ABSL_GUARDED_BY(mu);
  absl::Status status ABSL_GUARDED_BY(mu);
};

void EndLane(Walk* walk, const absl::Status& status) {
  absl::MutexLock lock(&walk->mu);
  --walk->busy_lanes;
  if (walk->status.ok()) walk->status = status;
}

// Visits one chunk, then queues its lane's next one behind the tasks that have come in meanwhile. Throws nothing.
void VisitFrom(const std::shared_ptr<Walk>& walk, size_t chunk) {
  if (chunk >= walk->job->chunks()) return EndLane(walk.get(), absl::OkStatus());
  const absl::Status posted = CatchExceptions([&] {
    return walk->lanes->PostControl(walk->lanes->LaneOf(chunk), [walk, chunk] {
      const absl::Status status = CatchExceptions([&] { return walk->visit(chunk, walk->job->chunk(chunk)); });
      if (!status.ok()) return EndLane(walk.get(), status);
      VisitFrom(walk, walk->lanes->NextOf(chunk));
    });
  });
  if (!posted.ok()) EndLane(walk.get(), posted);
}

}  // namespace

absl::Status WalkChunks(const std::shared_ptr<HostedJob>& job, Lanes* lanes,
                        absl::FunctionRef<absl::Status(size_t, Chunk&)> visit) {
  const auto walk = std::make_shared<Walk>(job, lanes, visit);
  for (int lane = 0; lane < lanes->lanes(); ++lane) VisitFrom(walk, lanes->FirstOf(lane));
  absl::MutexLock lock(&walk->mu);
  const auto done = [&walk]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(walk->mu) { return walk->busy_lanes == 0; };
  walk->mu.Await(absl::Condition(&done));
  return walk->status;
}

void VisitWaits(const std::shared_ptr<HostedJob>& job, Lanes* lanes,
                const std::function<void(WatermarkWaits&)>& visit) {
  for (int lane = 0; lane < lanes->lanes(); ++lane) {
    const auto task = [job, lanes, visit, lane] {
      for (size_t chunk = lanes->FirstOf(lane); chunk < job->chunks(); chunk = lanes->NextOf(chunk)) {
        // A wait that could not be ended now ends when its time has passed.
        CatchExceptions([&] {
          visit(job->waits(chunk));
          return absl::OkStatus();
        }).IgnoreError();
      }
    };
    // A refusal means that the lanes have ended: nothing waits.
    lanes->PostControl(lane, task).IgnoreError();
  }
}

}  // namespace samovar
