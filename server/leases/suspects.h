// Suspects are workers that were late, so that their leases went to others. Such a worker is left out for a while,
// which doubles each time that it is late again: it may be cut off from a server that all others reach.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <map>

#include "absl/time/time.h"

namespace samovar {

class Suspects {
 public:
  static constexpr absl::Duration kFirstRest = absl::Seconds(2);
  static constexpr absl::Duration kLongestRest = absl::Minutes(1);

  // The worker was late. Returns whether it was none of the suspects before.
  bool Add(uint64_t worker, absl::Time now);
  // Whether the worker is to be left out now.
  bool Rests(uint64_t worker, absl::Time now) const;
  // The worker is done with all of a lease that was granted then, or is gone.
  void Clear(uint64_t worker, absl::Time granted = absl::InfiniteFuture());

 private:
  struct Suspect {
    absl::Time since;
    absl::Duration rest;
  };
  std::map<uint64_t, Suspect> suspects_;
};

}  // namespace samovar
