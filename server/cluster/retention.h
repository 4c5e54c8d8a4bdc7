// Which snapshots of a job its servers keep. Servers never remove one on their own: one of them may hold a snapshot
// that the others lack, since its disk took it and theirs did not.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "samovar/v1/job.pb.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

// A run and an iteration of it.
using SnapshotId = std::pair<uint64_t, uint64_t>;

struct Retention {
  // The number of the job's run.
  uint64_t run = 0;
  // At least 1.
  uint32_t keep = 1;
  // Iterations of that run that the job or its client still needs.
  std::set<uint64_t> wanted;
};

// How many the job wants kept.
uint32_t KeptSnapshots(const v1::JobSpec& spec);

// The iterations of the run that every server holds: the job can go back to these, and export them. `held`: the
// snapshots that each of the job's servers lists, by share.
std::set<uint64_t> CompleteSnapshots(const std::vector<std::vector<v1::SnapshotInfo>>& held, uint64_t run);

// Those to keep: of the complete ones the `keep` newest, those of the job's run before those of earlier runs of its
// name; the wanted ones; and of those that only some servers hold, each server's newest of this run, if no complete one
// is as new. As long as the job's run has no complete one, all of earlier runs' stay.
std::set<SnapshotId> SnapshotsToKeep(const std::vector<std::vector<v1::SnapshotInfo>>& held,
                                     const Retention& retention);

}  // namespace samovar
