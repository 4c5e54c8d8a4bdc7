// Files that a net names.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/caffe/net_origin.h"
#include "common/storage/storage_table.h"

namespace samovar {

// Makes the names of the files and directories that layers read absolute, as FindNamedFile finds them; they stand in
// `file`. Adds to `warnings`, with the layer's place, which of two that differ is taken; each warning is there once.
void ResolveSources(const std::string& file, const NetOrigin& origin, const StorageTable& storage,
                    caffe::NetParameter* net, std::vector<std::string>* warnings);

// The files that layers of the net read, besides records: mean images of data layers, matrices of InfogainLoss. Each
// once, in net order, as the net names them.
std::vector<std::string> FilesNamedIn(const caffe::NetParameter& net);

// The net for an engine that reads files of this machine only: the matrices of InfogainLoss are fetched from `storage`,
// and named by where they lie now. A URI of a scheme that is not offered stays, and the engine refuses it with the
// layer's place. Other errors of the storage name the layer.
absl::StatusOr<caffe::NetParameter> WithFetchedFiles(const caffe::NetParameter& net, const StorageTable& storage);

}  // namespace samovar
