// The options of the subcommands of `samovar yarn`. config/ fills them from the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/options.h"
#include "cli/yarn/service_spec.h"
#include "common/storage/storage_table.h"

namespace samovar {

// A YARN service, and where to ask about it.
struct YarnOptions {
  std::string name;
  // "HOST:PORT", or URLs, with commas between; empty: those of yarn-site.xml.
  std::string resource_manager;
  bool json = false;
};

struct YarnLaunchOptions : YarnOptions {
  // Its name is not set.
  ServicePlan plan;
  // A directory of this machine whose configuration the containers get; empty: they have their nodes'.
  std::string hadoop_conf;
  // Print the specification, and do nothing.
  bool print = false;
  StorageTable storage = {};
};

struct YarnStatusOptions : YarnOptions {};

struct YarnFlexOptions : YarnOptions {
  std::optional<int> workers;
  std::optional<int> servers;
};

struct YarnLogsOptions : YarnOptions {
  // "worker-0", or a component; empty: all.
  std::string instance;
  std::string file = "stderr.txt";
  // From the file's end.
  uint64_t bytes = 65536;
  // The logs that were collected of this application, by Hadoop's own client; empty: those of the service's containers.
  std::string application;
};

struct YarnStopOptions : YarnOptions {};

struct YarnTrainOptions : YarnLaunchOptions, JobOptions {
  // A directory in storage: the model and its solver state, and the features in a directory of their own.
  std::string output;
  // Names of blobs, with commas between; empty: no features are written.
  std::string features;
  // One more blob of each row; empty: none.
  std::string label;
  // The net whose features they are, as it is in phase TEST; empty: the solver's.
  std::string features_model;
  int threads = 1;
  // Replace files that are there.
  bool force = false;
  // The service stays when the job has ended.
  bool keep = false;
};

}  // namespace samovar
