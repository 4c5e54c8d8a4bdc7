// LeaseBoard deals iterations, or parts of them, to the workers of a test, as a coordinator does: some of them twice,
// those of workers that were lost again, and after a server's loss those that it had held.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/stopper.h"

namespace samovar {

class LeaseBoard {
 public:
  struct Cell {
    uint64_t t = 0;
    uint32_t part = 0;
    auto operator<=>(const Cell&) const = default;
  };
  struct Lease {
    Cell cell;
    // As a coordinator's assignment names it.
    uint64_t opening = 0;
    // Which of the times between losses of servers the lease belongs to.
    uint64_t time = 0;
    // Stopped when a server was lost: who waits for what was in it would wait in vain.
    std::shared_ptr<const Stopper> revoked;
  };

  // `parts` of each iteration, at least 1.
  LeaseBoard(uint64_t seed, uint64_t iterations, uint32_t parts);

  // --- for workers ---
  // The lowest that nobody has; sometimes what another worker has. Blocks; none: all is done, or has failed.
  std::optional<Lease> Take() ABSL_LOCKS_EXCLUDED(mu_);
  // It is not done. Or: all chunks have it, says the client; believed if no server was lost meanwhile.
  void Return(const Lease& lease) ABSL_LOCKS_EXCLUDED(mu_);
  void Done(const Lease& lease) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether no server was lost since.
  bool Holds(const Lease& lease) const ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the test. The first failure counts.
  void Fail(const std::string& failure) ABSL_LOCKS_EXCLUDED(mu_);

  // --- for the thread that drives the test ---
  // Nothing at or beyond this iteration is dealt.
  void SetLimit(uint64_t limit) ABSL_LOCKS_EXCLUDED(mu_);
  // Blocks until that many cells are done, or one has failed; if nothing gets done for a minute, that is a failure.
  void AwaitDone(size_t cells) ABSL_LOCKS_EXCLUDED(mu_);
  // A server was lost: the iterations are not done after all, and leases of before are void.
  void ServerLost(const std::set<uint64_t>& iterations, uint64_t opening) ABSL_LOCKS_EXCLUDED(mu_);
  // No server will be lost any more: when all is done, workers may go.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);
  // Empty: none.
  std::string failure() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct State {
    bool done = false;
    int holders = 0;
  };

  void FailLocked(const std::string& failure) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Ended() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<Cell> Choose() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
  std::map<Cell, State> cells_ ABSL_GUARDED_BY(mu_);
  size_t done_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t limit_ ABSL_GUARDED_BY(mu_) = UINT64_MAX;
  uint64_t opening_ ABSL_GUARDED_BY(mu_) = 1;
  uint64_t time_ ABSL_GUARDED_BY(mu_) = 0;
  std::shared_ptr<Stopper> revoked_ ABSL_GUARDED_BY(mu_) = std::make_shared<Stopper>();
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::string failure_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
