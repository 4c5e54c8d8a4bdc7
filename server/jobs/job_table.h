// JobTable keeps a coordinator's jobs on disk, in an LMDB environment of its own, so that its next start knows them.
//
// Each job has a number, by which it is found: jobs are numbered in the order of their submission. Records, by key:
//   's' NUMBER  the v1.JobSpec, written once; by versions that had no v1.Consistency, a v1.JobSpecBefore
//   'r' NUMBER  the v1.JobRecord, written anew whenever something has happened to the job
//   'f' NUMBER  a v1.ForgottenJob: the job of this number was forgotten, and servers may still have snapshots of it
//   'e'         the epoch of the coordinator that opened the table last, in decimal digits: a coordinator that finds
//               another one there writes no more
// NUMBER is 8 bytes, big-endian, so that LMDB's order of keys is the order of submission. A value is the message,
// serialised, behind its CRC-32 (as in zlib; 4 bytes, little-endian).
//
// Thread safety: all methods may be called from any thread; writers take turns. All of them do I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "samovar/v1/job_record.pb.h"

namespace samovar {

class LmdbEnvironment;
class LmdbTransaction;

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
    std::string job_id;
  };
  // So many forgotten jobs are remembered; the oldest go first.
  static constexpr size_t kMaxForgotten = 10'000;

  // Opens the table in a directory, which is made if it is not there, for the coordinator of that epoch.
  // FAILED_PRECONDITION: one of a higher epoch has opened it.
  static absl::StatusOr<std::unique_ptr<JobTable>> Open(const std::string& directory, uint64_t epoch);
  ~JobTable();

  // All jobs, in the order of their numbers, with all lines of their displays that are kept. A record that is damaged,
  // or of a format that is not known, is left out: `damaged` gets a line for each that says so.
  absl::StatusOr<std::vector<Entry>> Load(std::vector<std::string>* damaged) const;

  // Jobs that were forgotten, in the order of their numbers.
  absl::StatusOr<std::vector<Forgotten>> LoadForgotten() const;

  // All are durable when they return OK. RESOURCE_EXHAUSTED: the disk is full; the table is as before.
  // FAILED_PRECONDITION: another coordinator has opened it since; the table is as that one has it. A new job, which
  // takes the place of `replaced`, and of the forgotten ones of its name.
  absl::Status Insert(const Entry& entry, std::optional<uint64_t> replaced);
  // Jobs to be written, with those of the displays' lines that the table does not have yet; and jobs that it is to
  // forget, which need not be in it.
  absl::Status Update(const std::vector<Change>& changes, const std::vector<Forgotten>& forgotten);

 private:
  JobTable(std::unique_ptr<LmdbEnvironment> environment, uint64_t epoch);

  // A write, if the table is still this coordinator's.
  absl::Status Write(absl::FunctionRef<absl::Status(LmdbTransaction&)> body);

  const std::unique_ptr<LmdbEnvironment> environment_;
  const uint64_t epoch_;
};

}  // namespace samovar
