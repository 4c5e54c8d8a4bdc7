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

  // `now`: by the wall clock.
  void Add(v1::JobEvent::Kind kind, const std::string& text, absl::Time now);
  // Takes over the events of an earlier log, within the same bounds.
  void Restore(const google::protobuf::RepeatedPtrField<v1::JobEvent>& events);

  // Number of the newest event; 0: there is none.
  uint64_t newest() const { return newest_; }
  // Those with a higher number that are still there, oldest first.
  std::vector<v1::JobEvent> After(uint64_t number) const;

 private:
  std::deque<v1::JobEvent> events_;
  uint64_t newest_ = 0;
};

// "test of net 0 at iteration 500 with 10000 records: accuracy = 0.9, loss = 0.3"
std::string TestText(const v1::TestReport& report);

}  // namespace samovar
