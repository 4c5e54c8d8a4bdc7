// Checks the files that a job begins from before anything is started: model files, a .solverstate with its model, or an
// exported snapshot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/caffe/solver_bundle.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/parameter.pb.h"
#include "samovar/v1/snapshot.pb.h"

namespace samovar {

// The files that the user names to begin from. All empty: the solver's `weights`, if it has any, else the fillers.
struct StartFrom {
  // .caffemodel files, separated by commas; in place of the solver's `weights`.
  std::string weights;
  // A .solverstate file; the solver's `weights` are not looked at then.
  std::string snapshot;
  // An earlier run goes on: nothing is read.
  bool resume = false;
  // A directory of an exported snapshot, or one with several: the newest is taken. Alone.
  std::string restore = "";
};

struct CheckedStart {
  // With absolute paths; empty if training begins from the fillers.
  v1::InitialModel initial_model;
  // The first iteration to be trained.
  uint64_t iteration = 0;
  // The exported snapshot's manifest, without its list of files.
  std::optional<v1::ExportManifest> restored;
  // For people, empty without files: "a.caffemodel fills conv1, ip1; ip2 keeps its fillers".
  std::string description;
  std::vector<std::string> warnings;
};

// Reads the files and compares them with the solver and the net. Errors name file, layer and blob, and the place of a
// solver's field that says otherwise. REQUIRES: CheckLayout(layout).ok()
absl::StatusOr<CheckedStart> CheckStart(const StartFrom& from, const SolverBundle& bundle,
                                        const v1::ParameterLayout& layout, const StorageTable& storage);

}  // namespace samovar
