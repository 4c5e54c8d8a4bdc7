// JobTable keeps a coordinator's jobs so that the next coordinator knows them: on this machine's disk
// (lmdb_job_table.h), or at the cluster's home (home_job_table.h).
//
// Each job has a number, by which it is found: jobs are numbered in the order of their submission.
//
// Thread safety: all methods may be called from any thread; writers take turns. All of them do I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "samovar/v1/job_record.pb.h"
#include "server/jobs/history_block.h"

namespace samovar {

class JobTable {
 public:
  struct Entry {
    uint64_t number = 0;
    v1::JobSpec spec;
    v1::JobRecord record;
  };
  struct Change {
    uint64_t number = 0;
    v1::JobRecord record;
  };
  struct Forgotten {
    uint64_t number = 0;
    // Empty: only its exports are forgotten.
    std::string job_id;
    // The directory of its exported snapshots, which is to be removed; empty: none is. Such an entry has no job_id: it
    // stays when a job of the name is submitted.
    std::string exports = "";
  };
  // A change of a job's curve.
  struct HistoryChange {
    uint64_t number = 0;
    HistoryBlocks written;
    // Are not any more, now that the others are there.
    std::vector<HistoryKey> removed;
  };
  // So many forgotten jobs are remembered; the oldest go first.
  static constexpr size_t kMaxForgotten = 10'000;

  virtual ~JobTable() = default;

  // All jobs, in the order of their numbers, with all lines of their displays that are kept. A record that is damaged,
  // or of a format that is not known, is left out: `damaged` gets a line for each that says so.
  virtual absl::StatusOr<std::vector<Entry>> Load(std::vector<std::string>* damaged) const = 0;

  // Jobs that were forgotten, in the order of their numbers.
  virtual absl::StatusOr<std::vector<Forgotten>> LoadForgotten() const = 0;

  // All are durable when they return OK. RESOURCE_EXHAUSTED: the disk is full; the table is as before.
  // FAILED_PRECONDITION: another coordinator has opened it since; the table is as that one has it. A new job, which
  // takes the place of `replaced`, and of the forgotten ones of its name.
  virtual absl::Status Insert(const Entry& entry, std::optional<uint64_t> replaced) = 0;
  // Jobs to be written, with those of the displays' lines that the table does not have yet; and jobs that it is to
  // forget, which need not be in it.
  virtual absl::Status Update(const std::vector<Change>& changes, const std::vector<Forgotten>& forgotten) = 0;

  // A job's curve goes with the job. Blocks that are damaged are left out.
  virtual absl::StatusOr<HistoryBlocks> LoadHistory(uint64_t number) const = 0;
  // As Update. REQUIRES: the jobs are in the table.
  virtual absl::Status UpdateHistory(const std::vector<HistoryChange>& changes) = 0;
  // So long a curve's changes may wait for others, since each call costs as much as many changes.
  virtual absl::Duration HistoryInterval() const = 0;

  // FAILED_PRECONDITION: another coordinator has taken the table since, whose jobs these are now.
  virtual absl::Status CheckOwner() const = 0;
};

// The error for a coordinator whose jobs another one has taken.
absl::Status TakenBy(uint64_t newer_epoch, uint64_t epoch);

}  // namespace samovar
