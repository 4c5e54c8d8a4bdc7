// A job's digests of the content of its data: of its records (DatasetSpec.digest) and of the files that its nets name
// beside them. A path is a name: it may have other bytes tomorrow, or on another machine.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// Adds the files that the net names, unless they are there already, with their digests, to spec->net_files(). Reads
// each whole. Errors of DigestOfFile.
absl::Status AddNetFiles(const caffe::NetParameter& net, v1::JobSpec* spec, const StorageTable& storage);

// Reads the files that the net names, and compares them with the job's; those that the job does not list are not looked
// at. To be called after the net was built, so that content that was replaced after the net has read it is found.
// INVALID_ARGUMENT: a file holds something else; the message names it and says what to do. Errors of
// DigestOfFile.
absl::Status CheckNetFiles(const caffe::NetParameter& net, const v1::JobSpec& spec, const StorageTable& storage);

// In words, for each data layer and each file of the nets that both jobs have with a digest: how it is another one than
// before, "data layer "mnist" reads other records than before (/data/mnist: 60000, then 70000)".
std::vector<std::string> DescribeOtherData(const v1::JobSpec& before, const v1::JobSpec& now);

}  // namespace samovar
