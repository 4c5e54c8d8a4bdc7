// JobTable keeps a coordinator's jobs on disk, in an LMDB environment of its own, so that its next start knows them.
//
// Each job has a number, by which it is found: jobs are numbered in the order of their submission. Records, by key:
//   's' NUMBER  the v1.JobSpec, written once
//   'r' NUMBER  the v1.JobRecord, written anew whenever something has happened to the job
// NUMBER is 8 bytes, big-endian, so that LMDB's order of keys is the order of submission. A value is the message, serialised, behind
// its CRC-32 (as in zlib; 4 bytes, little-endian).
//
// Thread safety: all methods may be called from any thread; writers take turns. All of them do I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "samovar/v1/job_record.pb.h"

namespace samovar {

class LmdbEnvironment;

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

  // Opens the table in a directory, which is made if it is not there. A directory belongs to one table at a time.
  static absl::StatusOr<std::unique_ptr<JobTable>> Open(const std::string& directory);
  ~JobTable();

  // All jobs, in the order of their numbers. A record that is damaged, or of a format that is not known, is left out: `damaged`
  // gets a line for each that says so.
  absl::StatusOr<std::vector<Entry>> Load(std::vector<std::string>* damaged) const;

  // All are durable when they return OK. RESOURCE_EXHAUSTED: the disk is full; the table is as before.
  // A new job, which takes the place of `replaced`.
  absl::Status Insert(const Entry& entry, std::optional<uint64_t> replaced);
  // Jobs that are in the table, with what is new of them, and jobs that it is to forget.
  absl::Status Update(const std::vector<Change>& changes, const std::vector<uint64_t>& forgotten);

 private:
  explicit JobTable(std::unique_ptr<LmdbEnvironment> environment);

  const std::unique_ptr<LmdbEnvironment> environment_;
};

}  // namespace samovar
