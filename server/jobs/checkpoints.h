// Checkpoints tells at which iterations a job's weights are to be frozen, one after the other: at multiples of the
// solver's `snapshot` and `test_interval`, where users ask for a snapshot, and at the end.
//
// Without clock and threads. Thread safety: none; guarded by its owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/model/ledger.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// A moment at which the weights are frozen: to be written as a snapshot, to be tested, or both.
struct Checkpoint {
  uint64_t iteration = 0;
  bool persist = false;
  bool test = false;
  // Where a user wants the snapshot exported to; empty: nowhere.
  std::string export_to = "";
};

class Checkpoints {
 public:
  // The spec must outlive this.
  explicit Checkpoints(const v1::JobSpec* spec) : spec_(*spec) {}

  // Training begins at the iteration. `tested`: its test was made already.
  void Begin(uint64_t iteration, bool tested);
  // Training is at an earlier iteration again. The checkpoint under way was not, the ledgers are not complete;
  // `untested`: the tests of this iteration are to be made once more.
  void GoBack(uint64_t iteration, std::optional<uint64_t> untested);

  // Leasing stops there until the weights are frozen: so all chunks hold the iterations before a checkpoint and no
  // other then, and a copy with the label N is of N, in every mode and with any number of workers.
  uint64_t limit() const;
  // The checkpoint that is due when all iterations below `done` are done; none while one is under way. The one at
  // max_iter is due once the ledgers were found complete.
  std::optional<Checkpoint> Due(uint64_t done) const;

  // One is under way from Take to End.
  void Take() { active_ = true; }
  void End() { active_ = false; }
  bool active() const { return active_; }
  // It will not be due again, unless training goes back.
  void Pass(const Checkpoint& checkpoint);

  // The ledgers of all chunks hold all iterations.
  void SetComplete() { complete_ = true; }
  bool complete() const { return complete_; }

  // Iterations of a job when a user asks for a snapshot.
  struct Progress {
    // Below this, all are done; below that, all were leased once.
    uint64_t done = 0;
    uint64_t leased = 0;
    // The newest snapshot's iteration, if there is one.
    std::optional<uint64_t> newest;
  };
  struct Answer {
    // The snapshot's, which may be one that is there or was asked for before.
    uint64_t iteration = 0;
    // It was not to come before.
    bool added = false;
  };
  // A user asks for a snapshot as soon as all that is leased is done; `export_to` as Checkpoint's; `last`: training
  // goes no further than that. FAILED_PRECONDITION: one that was asked for before is exported to elsewhere, or the job
  // is done but for its last checkpoint.
  absl::StatusOr<Answer> Request(const std::string& export_to, bool last, const Progress& progress);
  // As `last` says: nothing beyond is leased any more; kNever: no user has asked for a last one.
  uint64_t stop_at() const { return stop_at_; }

  static constexpr uint64_t kNever = Ledger::kMaxEnd;

 private:
  uint64_t max_iter() const { return static_cast<uint64_t>(spec_.solver().max_iter()); }
  // Training goes no further than the iteration, which is returned, if `last`.
  uint64_t StopAt(uint64_t iteration, bool last);

  const v1::JobSpec& spec_;
  // The next ones of either kind, and the one that a user has asked for; kNever: there is none before the last.
  uint64_t next_snapshot_ = kNever;
  uint64_t next_test_ = kNever;
  uint64_t requested_ = kNever;
  // Where to; empty: nowhere.
  std::string requested_export_;
  // A user asked so late that it may be the last one. It is written then, even if the solver does not ask for it.
  bool last_requested_ = false;
  uint64_t stop_at_ = kNever;
  bool active_ = false;
  bool complete_ = false;
};

}  // namespace samovar
