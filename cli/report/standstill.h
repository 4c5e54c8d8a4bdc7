// Standstill notices that a job does not get on, and puts into words why: for users who would see nothing but a number
// that does not change.
//
// A job gets on when an iteration, a test or a snapshot is done; a job whose iterations take long gets on as well.
// Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

// All that there is to tell.
struct StandstillFacts {
  double seconds = 0;
  // The problems, the worst first, and the states of the job's workers; only the first of them.
  std::vector<std::string> reasons;
  // The job's newest events, oldest first, "12:00:01 worker w3 has left".
  std::vector<std::string> events;
};

class Standstill {
 public:
  // A job that has not got on for so long stands still; ...
  static constexpr absl::Duration kAfter = absl::Seconds(5);
  // ... if nothing changes that is told again after this long, then after twice as long, and so on.
  static constexpr absl::Duration kAgain = absl::Seconds(30);
  static constexpr absl::Duration kSeldom = absl::Minutes(16);
  // It is told of so many reasons and events.
  static constexpr size_t kReasons = 5;
  static constexpr size_t kEvents = 3;

  // Notes the job's newest status. `now`, here and below: by the steady clock.
  void Take(const v1::JobStatus& status, absl::Time now);
  // Whether it is time to look at the cluster, and to call Explain.
  bool IsDue(absl::Time now) const { return now >= due_; }
  // The moment of that.
  absl::Time due() const { return due_; }
  // Nothing: there is nothing to tell (again) at this moment. `events`: of the job, oldest first.
  std::optional<StandstillFacts> Explain(const v1::ClusterStatus& cluster, const std::vector<v1::JobEvent>& events,
                                         absl::Time now);
  // The cluster could not be asked: it is tried again after a while.
  void Postpone(absl::Time now) { due_ = now + kAfter; }

 private:
  // Grows when the job gets on: state, iterations, tests, the newest snapshot.
  using Progress = std::tuple<int, uint64_t, int, uint64_t>;

  std::string job_id_;
  Progress progress_ = {-1, 0, 0, 0};
  absl::Time moved_ = absl::InfiniteFuture();
  absl::Time due_ = absl::InfiniteFuture();
  // The reasons that were told last, without their numbers, when, and after how long they are told again.
  std::string told_;
  absl::Time told_at_ = absl::InfinitePast();
  absl::Duration again_ = kAgain;
};

// "nothing has moved for 6 s: REASON; REASON; newest events: 12:00:01 TEXT". One line, in which programs that read
// Caffe's logs find nothing.
std::string StandstillLine(const StandstillFacts& facts);
// The same in several lines, for a terminal.
std::string StandstillText(const StandstillFacts& facts);

// "12:00:01 worker w3 has left (and the like 4 times more)", by this machine's clock.
std::string EventLine(const v1::JobEvent& event);

}  // namespace samovar
