// SilentLinks are the ways between a job's workers and its servers on which a worker has had no answer for some
// seconds, though the coordinator hears both: it may go one way only, or the server may be overloaded.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "samovar/v1/coordinator.pb.h"

namespace samovar {

class SilentLinks {
 public:
  // Take returns a link when it has been silent for so long.
  static constexpr absl::Duration kTold = absl::Seconds(3);

  // The worker, called `name`, reports what it waits for. Servers other than these are passed over. Returns the links
  // that have become silent, in words.
  std::vector<std::string> Take(uint64_t worker, const std::string& name, const v1::WorkerWait& wait,
                                const std::vector<std::string>& servers, absl::Time now);
  void Forget(uint64_t worker) { links_.erase(worker); }
  void Clear() { links_.clear(); }
  // "worker w3 has had no answer from server 10.0.0.1:7400 for 12 s". Empty: there are none.
  std::string Text(absl::Time now) const;
  // The same of one worker, which is called "it".
  std::string TextOf(uint64_t worker, absl::Time now) const;

 private:
  struct Link {
    absl::Time since;
    // Take has returned it.
    bool told = false;
  };
  struct Worker {
    std::string name;
    // By address.
    std::map<std::string, Link> silent;
  };
  std::map<uint64_t, Worker> links_;
};

}  // namespace samovar
