// LmdbJobTable keeps a coordinator's jobs on its disk, in an LMDB environment of its own.
//
// Records, by key:
//   's' NUMBER  the v1.JobSpec, written once; by versions that had no v1.Consistency, a v1.JobSpecBefore
//   'r' NUMBER  the v1.JobRecord, written anew whenever something has happened to the job
//   'd' NUMBER ITERATION    a v1.DisplayLine
//   'h' NUMBER LEVEL INDEX  a v1.HistoryBlock without names: a block of the job's curve (job_history.h)
//   'f' NUMBER  a v1.ForgottenJob: the job of this number was forgotten, and servers may still have snapshots of it
//   'e'         the epoch of the coordinator that opened the table last, in decimal digits: a coordinator that finds
//               another one there writes no more
// NUMBER, ITERATION and INDEX are 8 bytes, big-endian, so that LMDB's order of keys is the order of the numbers; LEVEL
// is one byte. A value is a CheckedRecord.
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
#include "server/jobs/job_table.h"

namespace samovar {

class LmdbEnvironment;
class LmdbTransaction;

class LmdbJobTable : public JobTable {
 public:
  // Opens the table in a directory, which is made if it is not there, for the coordinator of that epoch.
  // FAILED_PRECONDITION: one of a higher epoch has opened it.
  static absl::StatusOr<std::unique_ptr<LmdbJobTable>> Open(const std::string& directory, uint64_t epoch);
  ~LmdbJobTable() override;

  absl::StatusOr<std::vector<Entry>> Load(std::vector<std::string>* damaged) const override;
  absl::StatusOr<std::vector<Forgotten>> LoadForgotten() const override;
  absl::Status Insert(const Entry& entry, std::optional<uint64_t> replaced) override;
  absl::Status Update(const std::vector<Change>& changes, const std::vector<Forgotten>& forgotten) override;
  absl::StatusOr<HistoryBlocks> LoadHistory(uint64_t number) const override;
  absl::Status UpdateHistory(const std::vector<HistoryChange>& changes) override;
  absl::Duration HistoryInterval() const override { return absl::ZeroDuration(); }
  absl::Status CheckOwner() const override;

 private:
  LmdbJobTable(std::unique_ptr<LmdbEnvironment> environment, uint64_t epoch);

  // A write, if the table is still this coordinator's.
  absl::Status Write(absl::FunctionRef<absl::Status(LmdbTransaction&)> body);

  const std::unique_ptr<LmdbEnvironment> environment_;
  const uint64_t epoch_;
};

}  // namespace samovar
