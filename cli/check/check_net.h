// A net with its data, as it is found on this machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/caffe/net_origin.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

struct NetToCheck {
  // Filtered for the phase.
  const caffe::NetParameter& param;
  caffe::Phase phase;
  // Batches of an iteration.
  uint32_t parts;
  // The file that names come from: relative ones are looked for beside it, too.
  const std::string& path;
  // The source of records, instead of the data layer's own; the net must have one data layer then. Empty: the layers'
  // own.
  std::string source = {};
  // Records that the net is built for, instead of a batch of its data layer; 0: a batch.
  int built_batch = 0;
  // Equal parts of a batch that these records are one of (NetOptions::parts).
  uint32_t of_parts = 1;
  // Where the net stands, for messages; null: not known.
  const NetOrigin* origin = nullptr;
  // Where its files are.
  StorageTable storage = {};
};

// A net and its data as coordinator and workers have to know them.
struct CheckedNet {
  v1::DatasetSpec data;
  v1::ParameterLayout layout;
  v1::NetOutputs outputs;
  // For the user: layers whose files were not all looked at.
  std::vector<std::string> warnings;
};

// Opens the records of the net's data layers, if it has any, looks at the files that they will be read from (for ten
// seconds a layer at most; a warning says how many were left out), and builds the net for them. The message of an error
// names the layers and says what to do, a line each (Net::Create). Takes the time and the memory of building the net;
// makes and changes nothing.
absl::StatusOr<CheckedNet> CheckNet(const NetToCheck& net);

}  // namespace samovar
