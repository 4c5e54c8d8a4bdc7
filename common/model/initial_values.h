// InitialValues are the values of model files for a net before it is trained: weights by the names of its layers and,
// with a .solverstate, the solver's history and the iteration to continue at. The command reads them to find errors
// before anything is started; each server reads them to fill its chunks.
//
// Blobs are matched in Caffe's way: a layer of a file gives its blobs to the net's layer of the same name; layers that
// only one of the two has are left alone; a layer that both have must agree in the number of its blobs and their
// shapes. A blob that several layers share is its owner's.
//
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

class InitialValues {
 public:
  // Nothing: all weights come from their fillers, all history is zero.
  InitialValues() = default;

  // Reads the files, and compares them with initial.digests() if there are any. `vectors`: the number of history
  // vectors that the solver keeps (solver_history.h). INVALID_ARGUMENT: a blob, or the state, does not fit or is not
  // finite; the message names file, layer, blob and both shapes. FAILED_PRECONDITION: a file holds something else than
  // its digest says. Otherwise errors of ReadModel and ReadSolverState. REQUIRES: CheckLayout(layout).ok()
  static absl::StatusOr<InitialValues> Read(const v1::InitialModel& initial, const v1::ParameterLayout& layout,
                                            int vectors, const StorageTable& storage);

  // Writes those of the floats [begin, begin + out.size()) of the flat vector that the models hold; the others stay.
  // REQUIRES, of both: the layout is the one that was given to Read.
  void CopyWeights(const v1::ParameterLayout& layout, uint64_t begin, std::span<float> out) const;
  // The same for a vector of history, 0 or 1. Without a .solverstate nothing is written.
  void CopyHistory(const v1::ParameterLayout& layout, int vector, uint64_t begin, std::span<float> out) const;

  // As CheckHistoryIsOf, with the .solverstate's name; OK without one.
  absl::Status CheckHistory(const caffe::SolverParameter& solver, const v1::InitialModel& initial,
                            const v1::ParameterLayout& layout) const;

  // Where training begins: the .solverstate's iteration, else 0.
  uint64_t iteration() const { return state_.has_value() ? static_cast<uint64_t>(state_->iter()) : 0; }

  // The digests of the files that were read, as in InitialModel.
  const std::vector<std::string>& digests() const { return digests_; }
  // The model files that were read, in order.
  const std::vector<std::string>& paths() const { return paths_; }
  // For people: layers of the net whose weights come from a file, and those that keep their fillers, in net order.
  const std::vector<std::string>& filled_layers() const { return filled_layers_; }
  const std::vector<std::string>& other_layers() const { return other_layers_; }

 private:
  // Where a blob of the layout gets its values from.
  struct Source {
    int model = -1;
    int layer = 0;
    int blob = 0;
  };

  absl::Status AddModel(caffe::NetParameter model, const v1::ParameterLayout& layout);
  void NameLayers(const v1::ParameterLayout& layout);

  std::vector<std::string> paths_;
  std::vector<std::string> digests_;
  // One for each path.
  std::vector<caffe::NetParameter> models_;
  // One for each of the layout's blobs; none if there are no models.
  std::vector<Source> sources_;
  std::optional<caffe::SolverState> state_;
  std::vector<std::string> filled_layers_;
  std::vector<std::string> other_layers_;
};

// The model that a .solverstate names as learned_net: as written, or, since files are moved, beside the .solverstate.
// INVALID_ARGUMENT: it names none; NOT_FOUND: there is none in either place.
absl::StatusOr<std::string> FindLearnedNet(const caffe::SolverState& state, const std::string& state_path,
                                           const StorageTable& storage);

}  // namespace samovar
