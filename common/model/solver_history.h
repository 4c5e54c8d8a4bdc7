// The history of Caffe's solvers, which they keep from one update to the next, as it is laid out in a .solverstate
// file.
//
// A solver keeps one or two vectors of history, each as long as the flat parameter vector and zero at the start. In the
// file each blob of the layout has a history blob of its own: those of the first vector in the layout's order, then, if
// there is a second vector, those of the second.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// The solver's type by its name today, whether the solver says `type` or the old `solver_type`. INVALID_ARGUMENT: there
// is no such type.
absl::StatusOr<std::string> SolverTypeOf(const caffe::SolverParameter& solver);

// Vectors of history: 2 for AdaDelta and Adam, else 1. Errors as SolverTypeOf.
absl::StatusOr<int> HistoryVectors(const caffe::SolverParameter& solver);

// Whether the state is one of this layout with so many vectors. INVALID_ARGUMENT: another number of blobs, a blob of
// another length or with values that are not finite (the message names layer and blob), or an iteration below 0.
absl::Status CheckSolverState(const caffe::SolverState& state, const v1::ParameterLayout& layout, int vectors);

// Whether a solver of this type can have written the history: INVALID_ARGUMENT if a vector in which it keeps squares
// has values below 0. SGD's and AdaGrad's states are of one form, and training from the other's diverges. REQUIRES:
// CheckSolverState(state, layout, vectors).ok()
absl::Status CheckHistoryIsOf(const caffe::SolverParameter& solver, const caffe::SolverState& state,
                              const v1::ParameterLayout& layout);

// Writes the floats [begin, begin + out.size()) of a vector of history (0 or 1).
// REQUIRES: CheckSolverState(state, layout, vectors).ok(), vector < vectors
void CopyHistory(const caffe::SolverState& state, const v1::ParameterLayout& layout, int vector, uint64_t begin,
                 std::span<float> out);

// The state of a solver that has done `iteration` updates. `learned_net` is the path of the model that belongs to it.
// REQUIRES: each of `history` is as long as the layout.
caffe::SolverState MakeSolverState(const caffe::SolverParameter& solver, const v1::ParameterLayout& layout,
                                   uint64_t iteration, const std::string& learned_net,
                                   std::span<const std::vector<float>> history);

}  // namespace samovar
