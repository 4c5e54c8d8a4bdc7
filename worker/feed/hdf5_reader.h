// Records of HDF5Data layers: rows of the data sets, one a top and of its name, of HDF5 files that a list names. Values
// are taken as they are: Caffe has no transform here either.
//
// Relative names in the list are taken as FindFile does (common/storage/paths.h).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/storage/storage_table.h"
#include "worker/feed/record_reader.h"

namespace samovar {

// `source`: the list. Opens all files. Errors of ReadFileList and Hdf5File. INVALID_ARGUMENT: no tops; transform_param;
// rows of different shapes.
absl::StatusOr<std::unique_ptr<RecordReader>> OpenHdf5Reader(const caffe::LayerParameter& layer,
                                                             const std::string& source, const StorageTable& storage);

}  // namespace samovar
