// A net and the data that it is fed with.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/base/thread_pool.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/parameter.pb.h"
#include "worker/feed/batch_feed.h"
#include "worker/nn/net.h"

namespace samovar {

struct FedNet {
  std::unique_ptr<BatchFeed> feed;
  std::unique_ptr<Net> net;
};

// Builds the net for the records of its data set, which is opened. `outputs`: what the job expects the net to report.
// INVALID_ARGUMENT, UNIMPLEMENTED: the net is wrong, wherever it is built. Other codes: something is wrong on this machine, the
// data set above all.
absl::StatusOr<FedNet> OpenFedNet(const caffe::NetParameter& net, caffe::Phase phase, const v1::DatasetSpec& data,
                                  const v1::NetOutputs& outputs, uint64_t seed, ThreadPool* pool);

// The same net for batches of another size, with memory of its own.
absl::StatusOr<std::unique_ptr<Net>> NetForBatch(const caffe::NetParameter& net, caffe::Phase phase, const BatchFeed& feed,
                                                 int batch_size, ThreadPool* pool);

// Tops of a net that is fed from a data set: those of its only data layer.
std::span<float> DataOf(Net* net);
// Empty if the data layer has no second top.
std::span<float> LabelsOf(Net* net);

// INVALID_ARGUMENT unless the blobs have the same names, places and shapes; the message names the first that differs.
absl::Status CheckSameLayout(const v1::ParameterLayout& ours, const v1::ParameterLayout& jobs);

}  // namespace samovar
