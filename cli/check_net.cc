#include "cli/check_net.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/caffe/paths.h"
#include "common/data/iteration_schedule.h"
#include "worker/feed/batch_feed.h"
#include "worker/feed/open_reader.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

// Partitions of the training data: enough for workers to have their own, each with several batches.
constexpr uint64_t kMaxPartitions = 16;
constexpr uint64_t kBatchesAPartition = 8;
// Of a partitioned set: so many iterations in a row read a partition. Each lease ends with a block at the latest, so that short ones
// cost calls; a window of 1024 iterations has 32 to choose from, so that long ones cost affinity.
constexpr uint32_t kBlock = 32;

uint32_t ChoosePartitions(uint64_t records, uint32_t batch_size) {
  const uint64_t partitions = records / (batch_size * kBatchesAPartition);
  return static_cast<uint32_t>(std::clamp<uint64_t>(partitions, 1, kMaxPartitions));
}

// What a layer's records are to the job. `samples`: those of an iteration.
absl::Status DescribeRecords(const RecordReader& reader, caffe::Phase phase, uint32_t samples, v1::DatasetSpec* spec) {
  spec->set_uri(reader.source());
  spec->set_records(reader.size());
  for (const TopShape& top : reader.tops()) spec->add_tops()->mutable_shape()->Add(top.begin(), top.end());
  if (phase != caffe::TRAIN) return absl::OkStatus();
  if (reader.partitions() > 1) {
    spec->set_partitions(reader.partitions());
    spec->set_block(kBlock);
  } else {
    spec->set_partitions(ChoosePartitions(reader.size(), samples));
  }
  IterationSchedule::Options schedule;
  schedule.records = spec->records();
  schedule.batch_size = samples;
  schedule.partitions = spec->partitions();
  return Annotate(IterationSchedule::Create(schedule).status(), absl::StrCat("layer \"", spec->layer(), "\""));
}

// Opens the records of the data layer, if there is one, and describes them.
absl::StatusOr<v1::DatasetSpec> DescribeData(const NetToCheck& net, const caffe::LayerParameter* layer) {
  v1::DatasetSpec spec;
  spec.set_partitions(1);
  if (layer == nullptr) return spec;
  spec.set_layer(layer->name());
  std::string source = net.source;
  if (source.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(source, SourceOf(*layer));
    source = ResolvePath(source, net.path);
  }
  SAMOVAR_ASSIGN_OR_RETURN(const uint32_t batch_size, FeedBatchSize(*layer));
  const uint64_t samples = uint64_t{batch_size} * net.parts;
  if (samples > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("layer \"", layer->name(), "\": an iteration of ", net.parts, " x ", batch_size,
                                                   " records (iter_size x batch_size) cannot be"));
  }
  spec.set_batch_size(batch_size);
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader,
                           OpenReader(*layer, net.phase, source));
  SAMOVAR_RETURN_IF_ERROR(DescribeRecords(*reader, net.phase, static_cast<uint32_t>(samples), &spec));
  return spec;
}

}  // namespace

absl::StatusOr<CheckedNet> CheckNet(const NetToCheck& net) {
  CheckedNet checked;
  const auto layer = FindFedLayer(net.param);
  if (!layer.ok()) {
    const std::string place = net.origin == nullptr ? "" : net.origin->Prefix(-1);
    return absl::Status(layer.status().code(), absl::StrCat(place, layer.status().message()));
  }
  NetOptions options;
  options.origin = net.origin;
  absl::StatusOr<v1::DatasetSpec> data = DescribeData(net, *layer);
  if (data.ok()) {
    checked.data = *std::move(data);
  } else {
    options.input_errors[(*layer)->name()] = data.status();
  }
  options.phase = net.phase;
  options.batch_size = net.built_batch;
  options.parts = static_cast<int>(net.of_parts);
  options.input_shapes = TopShapesOf(checked.data);
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Net> built, Net::Create(net.param, options));
  checked.data.set_batch_size(static_cast<uint32_t>(built->batch_size()));
  checked.layout = built->layout();
  checked.outputs = built->output_specs();
  return checked;
}

}  // namespace samovar
