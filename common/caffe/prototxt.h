// Reads nets and solvers in Caffe's text format.
//
// A file is read if protobuf's text parser reads it. If not, the error lists what is wrong, up to kMaxTextErrors lines
// such as
//   lenet.prototxt:12:5: unknown field "num_ouput" in convolution_param; did you mean "num_output"?
// with lines and columns (in bytes) from 1. All values are as they stand in the file: defaults of Caffe's that are no
// defaults of its format, and checks of values, are in solver_bundle.h.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "caffe.pb.h"
#include "common/caffe/source_map.h"
#include "common/storage/storage_table.h"

namespace samovar {

inline constexpr int kMaxTextErrors = 10;

// `file`: the name of the text in errors. INVALID_ARGUMENT: the text is wrong. With `source_map`, it is set to where
// the fields stand.
absl::StatusOr<caffe::NetParameter> ParseNet(absl::string_view text, const std::string& file,
                                             std::unique_ptr<SourceMap>* source_map = nullptr);
absl::StatusOr<caffe::SolverParameter> ParseSolver(absl::string_view text, const std::string& file,
                                                   std::unique_ptr<SourceMap>* source_map = nullptr);

// The same of a file. NOT_FOUND, PERMISSION_DENIED: it cannot be read; INVALID_ARGUMENT also: it is a directory, or
// larger than any prototxt (64 MiB).
absl::StatusOr<caffe::NetParameter> ReadNetFile(const std::string& path, std::unique_ptr<SourceMap>* source_map,
                                                const StorageTable& storage);
absl::StatusOr<caffe::SolverParameter> ReadSolverFile(const std::string& path, std::unique_ptr<SourceMap>* source_map,
                                                      const StorageTable& storage);

}  // namespace samovar
