// What each subcommand is asked to do. config/ fills these from the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/mode.h"
#include "cli/open_model.h"
#include "common/data/images_import.h"

namespace samovar {

struct TrainOptions {
  std::string solver;
  int servers = 2;
  int workers = 2;
  // Threads that compute, for each worker.
  int threads = 1;
  ModeChoice mode;
  // Unset: the solver's random_seed, or a random one.
  std::optional<uint64_t> seed;
  // Continue an earlier run, or give it up and begin anew. At most one.
  bool resume = false;
  bool restart = false;
  // .caffemodel files, separated by commas, to begin from; empty: the solver's `weights`, or the fillers.
  std::string weights;
  // A .solverstate file to continue from. Not together with weights or resume.
  std::string snapshot;
  // Directory of snapshots and logs; empty: "<snapshot_prefix>_state".
  std::string state;
  bool json = false;
  // Of the servers' and workers' log files.
  std::string log_level = "info";
};

struct CheckOptions {
  std::string solver;
};

struct TestOptions {
  ModelFiles files;
  int threads = 1;
  bool json = false;
};

struct FeaturesOptions {
  ModelFiles files;
  // Names, separated by commas.
  std::string blobs;
  // One more blob, the last of each row; empty: none.
  std::string label;
  // A directory, or "-" for the standard output.
  std::string output;
  int threads = 1;
  bool force = false;
};

struct TimeOptions {
  std::string model;
  // "TRAIN" or "TEST".
  std::string phase = "TRAIN";
  // Of the records, "CxHxW", instead of reading data; empty: data is read.
  std::string shape;
  int iterations = 20;
  int threads = 1;
  bool json = false;
};

struct StatusOptions {
  // The coordinator's "HOST:PORT".
  std::string address;
  bool json = false;
};

struct ImportIdxOptions {
  std::string images;
  std::string labels;
  std::string output;
  bool force = false;
};

struct ImportCifar10Options {
  std::vector<std::string> inputs;
  std::string output;
  bool force = false;
};

struct ImportImagesFlags {
  ImportImagesOptions images;
  std::string output;
  bool force = false;
};

struct DataMeanOptions {
  std::string path;
  std::string output;
  bool force = false;
};

struct DataInfoOptions {
  std::string path;
};

}  // namespace samovar
