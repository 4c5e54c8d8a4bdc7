// EventLog keeps the newest events of a job, for people, numbered from 1.
//
// Thread safety: none; guarded by its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

class EventLog {
 public:
  // Older events than so many are dropped, and texts are cut at so many bytes.
  static constexpr size_t kMaxEvents = 500;
  static constexpr size_t kMaxTextBytes = 1024;

  // `now`: by the wall clock. An event of a worker or of leases that is like one of the newest, but for numbers in its
  // text, is counted there from the fourth time on.
  void Add(v1::JobEvent::Kind kind, const std::string& text, absl::Time now);
  // Takes over the events of an earlier log, within the same bounds.
  void Restore(const google::protobuf::RepeatedPtrField<v1::JobEvent>& events);

  // Number of the newest event; 0: there is none.
  uint64_t newest() const { return newest_; }
  // Those with a higher number that are still there, oldest first.
  std::vector<v1::JobEvent> After(uint64_t number) const;

 private:
  // Events that are alike are listed so often, and looked for among so many of the newest.
  static constexpr int kListed = 3;
  static constexpr size_t kLookedAt = 40;

  // Counts the event at one that is like it. False: it is to be listed.
  bool CountAtOther(const v1::JobEvent& event);

  std::deque<v1::JobEvent> events_;
  uint64_t newest_ = 0;
};

// "test of net 0 at iteration 500 with 10000 records: accuracy = 0.9, loss = 0.3"
std::string TestText(const v1::TestReport& report);

}  // namespace samovar
