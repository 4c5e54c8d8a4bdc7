// HomeJobTable keeps a coordinator's jobs at the cluster's home, so that a coordinator on any machine can take them up.
//
//   HOME/jobs/<epoch>/all       all jobs as that coordinator took them over: a CheckedRecord of v1.HomeJobs
//   HOME/jobs/<epoch>/<number>  a job as it has become since: a CheckedRecord of v1.HomeJob
//   HOME/curves/<number>-<run>/<level>-<index>-<epoch>
//                               a block of a job's curve: a CheckedRecord of v1.HistoryBlock. Of several of one level
//                               and index that of the highest epoch counts
//
// Each coordinator writes into a directory of its epoch only, so that one that was replaced and lives still changes
// nothing of its successor's. It looks at the home's epochs after each write, and answers OK only if nobody has claimed
// a higher one: the successor claims before it reads, and so has read whatever was answered with OK. Curves would be
// too much to be copied at each start: their files carry the epoch. A coordinator removes a block only when those that
// have its points are there, and it was the newest coordinator after that.
//
// Thread safety: all methods may be called from any thread; they take turns. All of them but Load and LoadForgotten do
// I/O.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/home/cluster_home.h"
#include "common/storage/storage_table.h"
#include "server/jobs/job_table.h"

namespace samovar {

class HomeJobTable : public JobTable {
 public:
  // Takes over the jobs of the newest coordinator before this one, and else those of `before`, which may be null: a
  // table from when the cluster had no home; or none, if all are to be forgotten. REQUIRES: the caller has claimed the
  // epoch. FAILED_PRECONDITION: another has claimed a higher one; DATA_LOSS: `all` is damaged.
  static absl::StatusOr<std::unique_ptr<HomeJobTable>> Open(const ClusterHome& home, const StorageTable& storage,
                                                            uint64_t epoch, const JobTable* before,
                                                            bool forget = false);

  absl::StatusOr<std::vector<Entry>> Load(std::vector<std::string>* damaged) const override;
  absl::StatusOr<std::vector<Forgotten>> LoadForgotten() const override;
  absl::Status Insert(const Entry& entry, std::optional<uint64_t> replaced) override;
  absl::Status Update(const std::vector<Change>& changes, const std::vector<Forgotten>& forgotten) override;
  absl::StatusOr<HistoryBlocks> LoadHistory(uint64_t number) const override;
  absl::Status UpdateHistory(const std::vector<HistoryChange>& changes) override;
  absl::Duration HistoryInterval() const override { return absl::Seconds(10); }
  absl::Status CheckOwner() const override;

 private:
  // By number.
  using Jobs = std::map<uint64_t, v1::HomeJob>;

  // Files of single jobs, after which `all` is written anew.
  static constexpr size_t kMaxFiles = 500;

  HomeJobTable(const ClusterHome& home, StorageTable storage, uint64_t epoch)
      : home_(home), storage_(std::move(storage)), epoch_(epoch) {}

  // "HOME/jobs/<epoch>"
  std::string DirectoryOf(uint64_t epoch) const;
  std::string FileOf(uint64_t number) const;
  std::string CurvesDirectory() const { return home_.uri() + "/curves"; }
  // Empty: there is no such job.
  std::string CurveOf(uint64_t number) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status PutBlocks(const std::string& curve, const HistoryBlocks& blocks) const;
  // Those blocks, and those that this coordinator has written anew.
  void RemoveBlocks(const std::string& curve, const std::vector<HistoryKey>& blocks) const;
  void RemoveCurve(const std::string& curve) const;
  // The curves in this list that are no job's.
  void RemoveCurvesWithoutJob(const std::vector<StoredFile>& curves) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The newest epoch before this one that has an `all`; 0: none has.
  absl::StatusOr<uint64_t> EpochBefore() const;
  absl::Status ReadJobs(uint64_t epoch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status TakeJobs(const JobTable& before) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Directories of coordinators before the one that this one has taken the jobs from.
  void RemoveBefore(uint64_t epoch) const;
  absl::Status WriteAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Writes these jobs, and holds them then, if this coordinator is the newest still.
  absl::Status Write(Jobs jobs) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ClusterHome home_;
  const StorageTable storage_;
  const uint64_t epoch_;
  mutable absl::Mutex mu_;
  // As it is at the home.
  Jobs jobs_ ABSL_GUARDED_BY(mu_);
  // Jobs whose files are newer than `all`.
  std::set<uint64_t> files_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> damaged_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
