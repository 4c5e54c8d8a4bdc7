// HostedJob is this server's share of one job: its settings, its live chunks and its frozen copies.
//
// Thread safety: settings are immutable. chunk(i) and waits(i) belong to LaneOf(i) (lanes.h); before the job is
// published, to the thread that makes it. Frozen copies and the opening are guarded by a leaf lock.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/model/chunk_plan.h"
#include "common/model/consistency.h"
#include "samovar/v1/parameter.pb.h"
#include "samovar/v1/snapshot.pb.h"
#include "server/solver/solver_rule.h"
#include "server/store/chunk.h"
#include "server/store/memory_budget.h"
#include "server/store/watermark_waits.h"

namespace samovar {

// Longest job id in bytes; LMDB's keys hold it.
inline constexpr size_t kMaxJobIdBytes = 256;

// INVALID_ARGUMENT: empty, too long, or with a zero byte.
absl::Status CheckJobId(const std::string& job_id);

// Every chunk of the share as it was when its turn came; in the order of the job's chunks.
struct FrozenCopy {
  std::vector<ChunkImage> chunks;
  MemoryBudget::Reservation memory;
};

class HostedJob {
 public:
  // Chunks have zero weights and states. INVALID_ARGUMENT or UNIMPLEMENTED names the request's field that is wrong,
  // RESOURCE_EXHAUSTED if the budget does not allow the size.
  static absl::StatusOr<std::shared_ptr<HostedJob>> Create(const v1::OpenJobRequest& request, MemoryBudget* budget);

  // OK if the request asks for the job as it is open already, FAILED_PRECONDITION saying what differs if not.
  absl::Status CheckSame(const v1::OpenJobRequest& request) const;

  // OK if a snapshot fits this share, FAILED_PRECONDITION saying what differs if not.
  absl::Status CheckSnapshot(const v1::SnapshotManifest& manifest) const;

  // Replaces an unpublished chunk by its stored image. DATA_LOSS or FAILED_PRECONDITION: its vectors do not fit.
  absl::Status Restore(size_t index, ChunkImage image);

  // The description of a snapshot of this share; `bytes` is left to the writer.
  v1::SnapshotManifest MakeManifest(uint64_t iteration) const;
  // The share as MakeManifest describes it, of no iteration.
  v1::SnapshotInfo Describe() const;

  const std::string& id() const { return request_.job_id(); }
  const v1::ParameterLayout& layout() const { return request_.layout(); }
  const ChunkPlan& plan() const { return plan_; }
  const SolverRule& rule() const { return *rule_; }
  uint64_t seed() const { return request_.seed(); }
  // Whether chunks apply iterations in their order, each in one part or more.
  bool in_order() const { return InOrder(request_.consistency()); }
  // Whether the sum of an iteration's parts is clipped here.
  bool clips() const { return ServersClip(request_.consistency(), request_.solver()); }
  // At least 1.
  uint32_t push_every() const { return PushEvery(request_.consistency()); }
  // OK if the chunks hold whole units of push_every. FAILED_PRECONDITION says what to do if not.
  absl::Status CheckWholeUnits() const;
  uint64_t max_iter() const { return static_cast<uint64_t>(request_.solver().max_iter()); }
  // As OpenJobRequest.opening: the job is opened once more. FAILED_PRECONDITION: it is open as a higher one.
  absl::Status TakeOpening(uint64_t opening) ABSL_LOCKS_EXCLUDED(mu_);
  // As TakeOpening, but changes nothing.
  absl::Status CheckNewOpening(uint64_t opening) const ABSL_LOCKS_EXCLUDED(mu_);
  // The newest.
  uint64_t opening() const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether a call that names this opening may be done. FAILED_PRECONDITION says what to do if not.
  absl::Status CheckOpening(uint64_t opening) const ABSL_LOCKS_EXCLUDED(mu_);
  // Bytes of all weights and states, spread steps included.
  uint64_t bytes() const { return bytes_; }

  size_t chunks() const { return chunks_.size(); }
  Chunk& chunk(size_t index) { return *chunks_[index]; }
  // Pulls that wait for the chunk.
  WatermarkWaits& waits(size_t index) { return waits_[index]; }
  // Place of a chunk among this server's, by its number; nothing if it is not here.
  std::optional<size_t> IndexOf(uint32_t number) const;
  uint32_t number(size_t index) const { return numbers_[index]; }

  // A frozen copy, or null.
  std::shared_ptr<const FrozenCopy> frozen(uint64_t iteration) const ABSL_LOCKS_EXCLUDED(mu_);
  // Claims the making of a copy: waits while another is being made; returns false if this one exists by then. After
  // true, EndFreeze must be called, with AddFrozen before it if the copy was made.
  bool BeginFreeze(uint64_t iteration) ABSL_LOCKS_EXCLUDED(mu_);
  void AddFrozen(uint64_t iteration, std::shared_ptr<const FrozenCopy> copy) ABSL_LOCKS_EXCLUDED(mu_);
  void EndFreeze() ABSL_LOCKS_EXCLUDED(mu_);
  void Thaw(uint64_t iteration) ABSL_LOCKS_EXCLUDED(mu_);
  // All copies; one that is being made is waited for.
  void ThawAll() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Status CheckNewOpeningLocked(uint64_t opening) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  HostedJob(const v1::OpenJobRequest& request, ChunkPlan plan, std::vector<uint32_t> numbers,
            std::unique_ptr<const SolverRule> rule);
  // The share's weights.
  uint64_t floats() const;
  uint64_t CountBytes() const;
  std::unique_ptr<Chunk> MakeChunk(ChunkImage image) const;
  // Floats kept for each of the weights beside the image, for chunks in parts and for delay compensation.
  uint64_t FloatsBesideImage() const;

  // The layout's and solver's copy; `chunks`, `restore`, `epoch` and `opening` are not looked at again.
  const v1::OpenJobRequest request_;
  const ChunkPlan plan_;
  // Ascending.
  const std::vector<uint32_t> numbers_;
  const std::unique_ptr<const SolverRule> rule_;
  const uint64_t bytes_;
  MemoryBudget::Reservation memory_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<WatermarkWaits> waits_;

  mutable absl::Mutex mu_;
  uint64_t opening_ ABSL_GUARDED_BY(mu_);
  bool freezing_ ABSL_GUARDED_BY(mu_) = false;
  std::map<uint64_t, std::shared_ptr<const FrozenCopy>> frozen_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
