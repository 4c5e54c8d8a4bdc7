// AssignmentCache keeps the assignments of the jobs that a worker worked for last, so that changing over from one to
// another costs neither building nets nor opening data.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "samovar/v1/coordinator.pb.h"
#include "worker/train/assignment.h"

namespace samovar {

class AssignmentCache {
 public:
  // Each has its nets and batches in memory: of more jobs, that which was worked for longest ago is closed.
  static constexpr size_t kMaxOpen = 4;
  // So is one that was not worked for in this time.
  static constexpr absl::Duration kIdle = absl::Minutes(1);

  // `means`: of all its assignments.
  explicit AssignmentCache(const Assignment::Means& means) : means_(means) {}

  // The job's assignment, opened if it is not, or is not open as the coordinator has it now. Belongs to the cache;
  // valid until the next call. Errors of Assignment::Create.
  absl::StatusOr<Assignment*> Get(const v1::GetAssignmentResponse& message, absl::Time now);
  // Closes the job's, if it is open. Its residual (Assignment::Kept) goes to the next that Get opens, if that is of the
  // same job.
  void Close(const std::string& job_id);
  // As Close, for a job that will not come again: nothing is kept.
  void Drop(const std::string& job_id);

  size_t size() const { return open_.size(); }

 private:
  struct Entry {
    std::unique_ptr<Assignment> assignment;
    absl::Time used;
  };

  const Assignment::Means means_;
  // Worked for last comes first.
  std::list<Entry> open_;
  // The residual of the assignment that Close closed last.
  std::optional<Assignment::Kept> kept_;
};

}  // namespace samovar
