// ClientHold says whether a job's snapshots are held for the client that fetches them, and when training has waited for
// that client long enough.
//
// Times are SteadyNow()'s (clock.h). Thread safety: none; guarded by its owner.
#pragma once

#include <optional>

#include "absl/time/time.h"

namespace samovar {

class ClientHold {
 public:
  // As in JobSpec.fetches_snapshots: training waits once so many snapshots are not fetched, and for so long at most.
  static constexpr int kMaxUnfetched = 3;
  static constexpr absl::Duration kPatience = absl::Minutes(10);

  // `holds`: the job has a client that fetches its snapshots.
  explicit ClientHold(bool holds) : holds_(holds) {}

  bool holds() const { return holds_; }
  // Whether a further snapshot would be one too many, with so many that the client has not fetched.
  static bool IsFull(int unfetched) { return unfetched >= kMaxUnfetched; }
  // The client has fetched something: its patience begins anew.
  void Fetched() { waits_since_.reset(); }
  // To be called again and again; `waits`: training waits for the client now. True: it has for too long, and nothing is
  // held from now on.
  bool GivesUp(bool waits, absl::Time now);

 private:
  bool holds_;
  std::optional<absl::Time> waits_since_;
};

}  // namespace samovar
