// Whether a job ends with a snapshot of its last iteration.
#pragma once

#include "caffe.pb.h"

namespace samovar {

// As in Caffe: unless the solver says snapshot_after_train: false, and of max_iter then if it is a multiple of
// `snapshot`.
inline bool WritesLastSnapshot(const caffe::SolverParameter& solver) {
  return solver.snapshot_after_train() ||
         (solver.snapshot() > 0 && solver.max_iter() > 0 && solver.max_iter() % solver.snapshot() == 0);
}

}  // namespace samovar
