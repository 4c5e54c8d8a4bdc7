// The options of each subcommand. config/ fills them from the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/check/check_job.h"
#include "cli/check/mode.h"
#include "cli/data_options.h"
#include "cli/doctor/node_role.h"
#include "cli/open_model.h"
#include "cli/run/cluster_options.h"
#include "common/storage/storage_table.h"

namespace samovar {

// Options of a job, wherever it runs.
struct JobOptions {
  std::string solver;
  ModeChoice mode;
  // Unset: the solver's random_seed, or a random one.
  std::optional<uint64_t> seed;
  // Continue an earlier run.
  bool resume = false;
  // .caffemodel files, separated by commas, to begin from; empty: the solver's `weights`, or the fillers.
  std::string weights;
  // A .solverstate file to continue from. Not together with weights or resume.
  std::string snapshot;
  // The directory of an exported snapshot to continue from, or one with several. Not together with any of the above.
  std::string restore;
  // Where snapshots are exported to; empty: nowhere.
  std::string export_snapshots;
  JobChoice choice;
};

struct TrainOptions : JobOptions {
  int servers = 2;
  int workers = 2;
  // Threads that compute, for each worker.
  int threads = 1;
  // Connections of each worker to each server; 0: by the model's size.
  uint32_t channels = 0;
  // How this process talks to the servers that it starts.
  RpcOptions rpc = {};
  // Give an earlier run up and begin anew. Not together with resume.
  bool restart = false;
  // Directory of snapshots and logs; empty: "<snapshot_prefix>_state".
  std::string state;
  // "HOST:PORT" of a dashboard for browsers; port 0: any free one. Empty: there is none.
  std::string dashboard;
  // A directory of this machine for TensorBoard's event files; empty: none are written.
  std::string tensorboard;
  bool json = false;
  // The level of the servers' and workers' log files.
  std::string log_level = "info";
};

struct CheckOptions {
  std::string solver;
  JobChoice choice;
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
  StateChoice state;
  // The records' shape, "CxHxW", instead of reading data; empty: data is read.
  std::string shape;
  int iterations = 20;
  int threads = 1;
  // Tells what memory each layer needs, too.
  bool memory = false;
  bool json = false;
  // Where what it reads is.
  StorageTable storage = {};
};

struct PlanOptions {
  std::string solver;
  StateChoice state;
  int workers = 1;
  // Unset: as many as it takes.
  std::optional<int> servers;
  // One of KnownMachines(), or "here".
  std::string vm = "D4s_v5";
  // "10gbit"; empty: the machine's own.
  std::string network;
  // One way; unset: that of a zone, or none on one machine.
  std::optional<double> latency_ms;
  // 0: all of a worker's machine, or 1 on one machine.
  int threads = 0;
  bool one_machine = false;
  // An empty mode or encoding is chosen.
  ModeChoice mode;
  uint32_t push_every = 1;
  // As TimeOptions.
  std::string shape;
  // 0: those of the data, if that is there.
  uint64_t records = 0;
  // One thread's; 0: measured.
  double images_per_second = 0;
  // A file that calibrate.py has written; empty: the built-in profile.
  std::string profile;
  bool json = false;
  StorageTable storage = {};
};

struct StatusOptions : ClusterOptions {
  bool json = false;
};

struct SubmitOptions : JobOptions, ClusterOptions {
  // The job's id; empty: from the solver's snapshot_prefix.
  std::string name;
  // Unset: those of the job that is resumed, or all that have registered.
  std::optional<int> servers;
  int weight = 1;
  // Snapshots that each server keeps.
  int keep_snapshots = 2;
  // Stay, and show how the job goes.
  bool watch = false;
  // As TrainOptions; only with `watch`.
  std::string tensorboard;
  bool json = false;
};

struct JobsOptions : ClusterOptions {
  bool json = false;
};

struct WatchOptions : ClusterOptions {
  // Empty: the whole cluster.
  std::string job;
  // As TrainOptions.
  std::string tensorboard;
  bool json = false;
  // No view of the whole terminal.
  bool plain = false;
};

struct CancelOptions : ClusterOptions {
  std::string job;
  bool json = false;
};

struct ForgetOptions : ClusterOptions {
  std::string job;
};

struct LogsOptions : ClusterOptions {
  std::string job;
  // Instead of a job: a worker's name or number, or a server's address. At most one of the three is there.
  std::string worker;
  std::string server;
  // Only so many of the newest lines of a member's log; 0: all that are kept.
  int lines = 0;
  // Go on until the job has ended, or as long as the member is there.
  bool follow = false;
  bool json = false;
};

struct HistoryOptions : ClusterOptions {
  std::string job;
  bool csv = false;
  bool json = false;
  // As TrainOptions: the curve becomes an event file there, instead of being printed.
  std::string tensorboard;
  // The first iteration that is shown.
  uint64_t from = 0;
  // Points at most; 0: all that are kept; unset: as many as a table can show, and of the other formats all.
  std::optional<uint32_t> points;
};

struct PlotOptions : ClusterOptions {
  // Files, or jobs of the coordinator; the last may be the coordinator's address.
  std::vector<std::string> runs;
  // The user's coordinator, for jobs if no other is named; and what names it.
  std::string user_coordinator;
  std::string user_coordinator_source;
  // An SVG.
  std::string output;
  // Losses on a logarithmic scale.
  bool log = false;
};

struct ModelExportOptions : ClusterOptions {
  std::string job;
  // The .caffemodel to be written; the .solverstate is put beside it.
  std::string output;
  // A snapshot that there is; unset: the job as it is now.
  std::optional<uint64_t> iteration;
  bool force = false;
  bool json = false;
};

struct SnapshotExportOptions : ClusterOptions {
  std::string job;
  // The snapshot becomes a directory in it.
  std::string output;
  bool json = false;
};

struct FsListOptions {
  std::string uri;
  // All that is in the directory, at any depth.
  bool recursive = false;
  bool json = false;
  StorageTable storage = {};
};

struct FsCatOptions {
  std::string uri;
  StorageTable storage = {};
};

struct FsCopyOptions {
  std::string from;
  // A file's name, or a directory that there is.
  std::string to;
  bool recursive = false;
  // Replace files that are there.
  bool force = false;
  StorageTable storage = {};
};

struct FsRemoveOptions {
  std::string uri;
  bool recursive = false;
  StorageTable storage = {};
};

// Its coordinator may be empty: those that the roles name are asked.
struct DoctorOptions : ClusterOptions {
  // The directory of the services' configurations.
  std::string config = "/etc/samovar";
  // The services that it describes.
  std::vector<NodeRole> roles;
  // Empty: only what the roles name is looked at.
  std::string storage_uri;
  std::string user = "samovar";
  bool json = false;
};

}  // namespace samovar
