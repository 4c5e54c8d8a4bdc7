// A solver with its nets, as one reads them to start a job: every file found, every value checked.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/caffe/net_filter.h"
#include "common/caffe/net_origin.h"
#include "common/storage/paths.h"
#include "common/storage/storage_table.h"

namespace samovar {

// Where fields of a solver stand that are checked again, with facts that are known later: "file:line:column", or just
// the file where it does not have the field.
struct SolverPlaces {
  std::string max_iter;
  std::string type;
};

// Plain values, independent of the files and of the current directory, apart from solver.snapshot_prefix.
struct SolverBundle {
  // As in the file, apart from the following. The fields of nets and states are cleared; type is set, also if the file
  // has the old solver_type, which is cleared; solver_mode is CPU; snapshot_prefix is set: by default the solver's path
  // without its extension, and with the name of the solver's file added if it is a directory. weights has one absolute
  // path or URI an entry. test_iter has one entry a test net.
  caffe::SolverParameter solver;

  // Upgraded (upgrade_net.h), and filtered (net_filter.h) for the solver's states; sources and mean files of Data,
  // ImageData, WindowData and HDF5Data layers are absolute paths.
  caffe::NetParameter train_net;
  std::vector<caffe::NetParameter> test_nets;
  // Where their layers stand: "TRAIN net", and one entry a test net, "TEST net #0".
  NetOrigin train_origin;
  std::vector<NetOrigin> test_origins;

  // As LoadSolver got it.
  std::string solver_path;
  SolverPlaces places;

  // "file:line:column: ..." about values that are accepted and have no effect, or hardly the intended one.
  std::vector<std::string> warnings;
};

// Reads the solver and the nets that it names (or holds), as paths.h finds them, from `storage`. All errors in the
// solver's values are reported at once, a line each, with file, line and column of the value; so is a name of a scheme
// that is not offered.
//
// `choice` is added to the solver's train_state, as in Caffe: tests have the solver's test_state alone.
//
// NOT_FOUND: a file is not there. INVALID_ARGUMENT: text or values are wrong. UNIMPLEMENTED: a setting of Caffe's that
// is not offered (its effect would be missed); the message says what to write. The layers of the nets are not checked
// here. `values`: receives the errors in the solver's values, and the nets are read all the same; null: the call fails
// then.
absl::StatusOr<SolverBundle> LoadSolver(const std::string& path, const StateChoice& choice, absl::Status* values,
                                        const StorageTable& storage);

}  // namespace samovar
