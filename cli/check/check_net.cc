#include "cli/check/check_net.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/caffe/net_sources.h"
#include "common/data/iteration_schedule.h"
#include "common/storage/paths.h"
#include "worker/feed/net_feed.h"
#include "worker/feed/open_reader.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

// Partitions of the training data: enough for workers to have their own, each with several batches.
constexpr uint64_t kMaxPartitions = 16;
constexpr uint64_t kBatchesAPartition = 8;
// So many iterations in a row read a partition of a partitioned set. Each lease ends with a block at the latest, so
// that short ones cost calls; a window of 1024 iterations has 32 to choose from, so that long ones cost affinity.
constexpr uint32_t kBlock = 32;
// How long the files of a list are looked at: a million on a disk of the machine, some ten thousand across a network.
constexpr absl::Duration kLookAtFiles = absl::Seconds(10);

uint32_t ChoosePartitions(uint64_t records, uint32_t batch_size) {
  const uint64_t partitions = records / (batch_size * kBatchesAPartition);
  return static_cast<uint32_t>(std::clamp<uint64_t>(partitions, 1, kMaxPartitions));
}

// A data layer, as it is found here.
struct FoundLayer {
  std::string name;
  std::string source;
  uint32_t batch_size = 0;
  std::unique_ptr<RecordReader> reader;
  // Says that not all files could be looked at. Empty: they were.
  std::string warning;
};

absl::Status LookAtFiles(FoundLayer* found) {
  const auto looked = found->reader->LookAtFiles(SteadyNow() + kLookAtFiles);
  if (!looked.ok()) return Annotate(looked.status(), absl::StrCat("layer \"", found->name, "\""));
  if (looked->at == looked->of) return absl::OkStatus();
  found->warning =
      absl::StrCat("layer \"", found->name, "\": of the ", looked->of, " files that ", found->reader->source(),
                   " lists only the first ", looked->at, " were looked at, since that took ",
                   absl::FormatDuration(kLookAtFiles), "; a file that is not there ends the training when it is read");
  return absl::OkStatus();
}

absl::StatusOr<FoundLayer> FindLayer(const NetToCheck& net, const caffe::LayerParameter& layer) {
  FoundLayer found;
  found.name = layer.name();
  found.source = net.source;
  if (found.source.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(found.source, SourceOf(layer, net.storage));
    found.source = ResolvePath(found.source, net.path);
  }
  SAMOVAR_ASSIGN_OR_RETURN(found.batch_size, FeedBatchSize(layer));
  const uint64_t records = uint64_t{found.batch_size} * net.parts;
  constexpr uint64_t kMaxRecords = std::numeric_limits<uint32_t>::max();
  if (records > kMaxRecords) {
    return absl::InvalidArgumentError(absl::StrCat("layer \"", layer.name(), "\": an iteration of ", net.parts, " x ",
                                                   found.batch_size, " records (iter_size x batch_size) has ", records,
                                                   " records; it may have at most ", kMaxRecords));
  }
  SAMOVAR_ASSIGN_OR_RETURN(found.reader, OpenReader(layer, net.phase, found.source, nullptr, net.storage));
  // The net for a part of the batch has the files of the net for the whole.
  if (net.of_parts == 1) SAMOVAR_RETURN_IF_ERROR(LookAtFiles(&found));
  return found;
}

// How the layers' records are dealt to iterations: all of them alike, so that they keep together.
void PlanOrder(const NetToCheck& net, const std::vector<FoundLayer>& layers, v1::DatasetSpec* spec) {
  const FoundLayer& first = layers[0];
  const bool alike = std::all_of(layers.begin(), layers.end(), [&first](const FoundLayer& layer) {
    return layer.reader->size() == first.reader->size() && layer.batch_size == first.batch_size;
  });
  spec->set_partitions(1);
  spec->set_in_order(!alike);
  if (!alike || net.phase != caffe::TRAIN) return;
  uint32_t stored = 1;
  for (const FoundLayer& layer : layers) stored = std::max(stored, layer.reader->partitions());
  if (stored > 1) {
    spec->set_partitions(stored);
    spec->set_block(kBlock);
  } else {
    spec->set_partitions(ChoosePartitions(first.reader->size(), first.batch_size * net.parts));
  }
}

// `order`: the fields that are the same for all layers.
absl::StatusOr<v1::DatasetSpec> DescribeLayer(const NetToCheck& net, const FoundLayer& found, v1::DatasetSpec order) {
  order.set_layer(found.name);
  order.set_batch_size(found.batch_size);
  order.set_uri(found.reader->source());
  order.set_records(found.reader->size());
  auto digest = found.reader->Digest(found.reader->size());
  if (!digest.ok()) return Annotate(digest.status(), absl::StrCat("layer \"", found.name, "\""));
  order.set_digest(*std::move(digest));
  for (const TopShape& top : found.reader->tops()) order.add_tops()->mutable_shape()->Add(top.begin(), top.end());
  if (net.phase != caffe::TRAIN) return order;
  IterationSchedule::Options schedule;
  schedule.records = order.records();
  schedule.batch_size = found.batch_size * net.parts;
  schedule.partitions = order.partitions();
  SAMOVAR_RETURN_IF_ERROR(
      Annotate(IterationSchedule::Create(schedule).status(), absl::StrCat("layer \"", found.name, "\"")));
  return order;
}

// Describes the records of the net's data layers.
absl::StatusOr<v1::DatasetSpec> DescribeData(const NetToCheck& net, const std::vector<FoundLayer>& layers) {
  v1::DatasetSpec order;
  PlanOrder(net, layers, &order);
  SAMOVAR_ASSIGN_OR_RETURN(v1::DatasetSpec spec, DescribeLayer(net, layers[0], order));
  for (size_t i = 1; i < layers.size(); ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(*spec.add_further(), DescribeLayer(net, layers[i], order));
  }
  return spec;
}

// Opens the records of the data layers, and describes them; errors of a layer's records go to the options.
v1::DatasetSpec OpenData(const NetToCheck& net, const std::vector<const caffe::LayerParameter*>& layers,
                         NetOptions* options, std::vector<std::string>* warnings) {
  v1::DatasetSpec none;
  none.set_partitions(1);
  std::vector<FoundLayer> found;
  for (const caffe::LayerParameter* layer : layers) {
    absl::StatusOr<FoundLayer> next = FindLayer(net, *layer);
    if (!next.ok()) {
      options->input_errors[layer->name()] = next.status();
      continue;
    }
    options->input_shapes[layer->name()] = next->reader->tops();
    if (!next->warning.empty()) warnings->push_back(next->warning);
    found.push_back(*std::move(next));
  }
  if (!options->input_errors.empty() || found.empty()) return none;
  if (!net.source.empty() && layers.size() > 1) {
    options->input_errors[layers[1]->name()] = absl::InvalidArgumentError(absl::StrCat(
        "layer \"", layers[1]->name(), "\": the net has ", layers.size(),
        " data layers, so that other records cannot be named ", "for it; write their sources into a copy of the net"));
    return none;
  }
  absl::StatusOr<v1::DatasetSpec> data = DescribeData(net, found);
  if (data.ok()) return *std::move(data);
  options->input_errors[layers[0]->name()] = data.status();
  return none;
}

}  // namespace

absl::StatusOr<CheckedNet> CheckNet(const NetToCheck& net) {
  CheckedNet checked;
  const auto layers = FindFedLayers(net.param);
  if (!layers.ok()) {
    const std::string place = net.origin == nullptr ? "" : net.origin->Prefix(-1);
    return absl::Status(layers.status().code(), absl::StrCat(place, layers.status().message()));
  }
  NetOptions options;
  options.origin = net.origin;
  checked.data = OpenData(net, *layers, &options, &checked.warnings);
  options.phase = net.phase;
  options.batch_size = net.built_batch;
  options.parts = static_cast<int>(net.of_parts);
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::NetParameter local, WithFetchedFiles(net.param, net.storage));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Net> built, Net::Create(local, options));
  checked.data.set_batch_size(static_cast<uint32_t>(built->batch_size()));
  checked.layout = built->layout();
  checked.outputs = built->output_specs();
  return checked;
}

}  // namespace samovar
