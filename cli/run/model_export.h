// Models and solver states out of a running job.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/base/stopper.h"
#include "common/rpc/dialer.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// "<snapshot_prefix>_iter_<iteration>.caffemodel" and ".solverstate"; with snapshot_format HDF5 ".h5" follows.
std::string ModelPath(const std::string& snapshot_prefix, uint64_t iteration, const caffe::SolverParameter& solver);
std::string SolverStatePath(const std::string& snapshot_prefix, uint64_t iteration,
                            const caffe::SolverParameter& solver);

// Whether models of this prefix can be written up to the last iteration; makes nothing. The message names the prefix.
absl::Status CheckSnapshotPrefix(const std::string& snapshot_prefix, const caffe::SolverParameter& solver,
                                 const StorageTable& storage);

// Removes models and solver states of this prefix that a process which has gone left unfinished.
void RemoveAbandonedModels(const std::string& snapshot_prefix);

// Both read the copy that the job's servers froze or persisted as `iteration`. `status` is the job's, once it runs: it
// names the servers; `storage` takes the file. They end early, with CANCELLED, when the stopper is stopped.

// Writes the weights with the train net as a Caffe model.
absl::Status ExportModel(const v1::JobSpec& spec, const v1::JobStatus& status, uint64_t iteration,
                         const std::string& path, const Dialer& dialer, const StorageTable& storage,
                         const Stopper& stopper);

// Writes the solver's history, as the state of `iteration`; `model_path` is where the model that belongs to it was
// written. The servers freeze when all iterations before `iteration` are done; some chunks may hold a few more.
// FAILED_PRECONDITION: a chunk holds fewer.
absl::Status ExportSolverState(const v1::JobSpec& spec, const v1::JobStatus& status, uint64_t iteration,
                               const std::string& model_path, const std::string& path, const Dialer& dialer,
                               const StorageTable& storage, const Stopper& stopper);

}  // namespace samovar
