// WatermarkWaits keeps the requests that wait for one chunk to get to some stage (chunk.h). No thread waits: each wait
// is a callback that is kept here.
//
// Thread safety: none. It belongs to its chunk's lane (lanes.h), in which the callbacks run; they must not
// block.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace samovar {

class WatermarkWaits {
 public:
  // Called once, with
  //   OK                 the chunk is there
  //   DEADLINE_EXCEEDED  it is not, and the time has passed
  //   End's reason       it will not be
  using Resume = std::function<void(const absl::Status&)>;

  // REQUIRES: the chunk is at an earlier stage. After End, resumes at once.
  void Add(uint64_t stage, absl::Time deadline, Resume resume);
  // The chunk is at this stage now. O(log n) if nobody waits for it.
  void Reached(uint64_t stage);
  void Expire(absl::Time now);
  // Nobody waits any more, from now on. REQUIRES: !reason.ok()
  void End(const absl::Status& reason);

 private:
  struct Wait {
    absl::Time deadline;
    Resume resume;
  };
  // By the stage that is waited for.
  std::multimap<uint64_t, Wait> waits_;
  absl::Status ended_;
};

}  // namespace samovar
