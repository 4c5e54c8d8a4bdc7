// A job that trains in milliseconds: real LMDBs, a net of two inner products, four classes of 8x8 images.
#pragma once

#include <google/protobuf/text_format.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/random.h"
#include "common/storage/lmdb.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/parameter.pb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "worker/nn/net.h"

namespace samovar {

inline constexpr int kSide = 8;
inline constexpr int kClasses = 4;
inline constexpr uint32_t kBatch = 10;
inline constexpr uint64_t kTrainRecords = 95;
// Not a multiple of the batch.
inline constexpr uint64_t kTestRecords = 33;
// ip1: 100 x 64 + 100, ip2: 4 x 100 + 4; the first chunk ends within ip1.
inline constexpr uint32_t kChunkElements = 4096;
inline constexpr uint64_t kElements = 6904;
inline constexpr uint32_t kChunks = 2;

// Noise, with one quarter of the image brighter: which one is the label.
inline caffe::Datum MakeDatum(uint64_t seed, uint64_t position) {
  const uint64_t key = DeriveKey(RandomStream::kFiller, {seed, position});
  caffe::Datum datum;
  datum.set_channels(1);
  datum.set_height(kSide);
  datum.set_width(kSide);
  datum.set_label(static_cast<int>(position % kClasses));
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const int quarter = 2 * (y / 4) + x / 4;
      const uint32_t noise = Philox(key, 0, static_cast<uint64_t>(y * kSide + x))[0] % 100;
      datum.mutable_data()->push_back(static_cast<char>(noise + (quarter == datum.label() ? 120 : 0)));
    }
  }
  return datum;
}

inline void WriteRecords(const std::string& path, uint64_t seed, uint64_t records) {
  auto environment = LmdbEnvironment::Open(path, {});
  REQUIRE_OK(environment);
  REQUIRE_OK((*environment)->Write([&](LmdbTransaction& transaction) {
    for (uint64_t i = 0; i < records; ++i) {
      const absl::Status put = transaction.Put(absl::StrFormat("%08d", i), MakeDatum(seed, i).SerializeAsString());
      if (!put.ok()) return put;
    }
    return absl::OkStatus();
  }));
}

inline caffe::NetParameter MakeNet(bool test) {
  constexpr char kText[] = R"(
    name: "small"
    layer { name: "input" type: "Data" top: "data" top: "label" transform_param { scale: 0.00390625 }
            data_param { batch_size: 10 backend: LMDB } }
    layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" param { lr_mult: 1 } param { lr_mult: 1 }
            inner_product_param { num_output: 100 weight_filler { type: "xavier" } } }
    layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
    layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param { lr_mult: 1 } param { lr_mult: 1 }
            inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" })";
  caffe::NetParameter net;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(kText, &net));
  if (test) {
    caffe::LayerParameter* accuracy = net.add_layer();
    REQUIRE(google::protobuf::TextFormat::ParseFromString(
        R"(name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy")", accuracy));
  }
  return net;
}

inline std::unique_ptr<Net> BuildNet(const caffe::NetParameter& param, caffe::Phase phase) {
  NetOptions options;
  options.phase = phase;
  options.input_shapes["input"] = {{1, kSide, kSide}, {}};
  auto net = Net::Create(param, options);
  REQUIRE_OK(net);
  return *std::move(net);
}

inline v1::DatasetSpec MakeData(const std::string& path, uint64_t records) {
  v1::DatasetSpec data;
  data.set_layer("input");
  data.set_uri(path);
  data.set_records(records);
  v1::RecordTop* pixels = data.add_tops();
  for (const int64_t dim : {1, kSide, kSide}) pixels->add_shape(dim);
  data.add_tops();  // labels
  data.set_batch_size(kBatch);
  data.set_partitions(1);
  return data;
}

// Writes the data sets into the directory. SGD without momentum at a constant rate.
inline v1::JobSpec MakeJob(const std::string& directory) {
  WriteRecords(directory + "/train", 1, kTrainRecords);
  WriteRecords(directory + "/test", 2, kTestRecords);
  v1::JobSpec spec;
  spec.set_job_id("small");
  spec.set_seed(7);
  spec.mutable_solver()->set_base_lr(0.05f);
  spec.mutable_solver()->set_lr_policy("fixed");
  spec.mutable_solver()->set_max_iter(1000);
  *spec.mutable_train_net() = MakeNet(false);
  *spec.add_test_nets() = MakeNet(true);
  *spec.mutable_train_data() = MakeData(directory + "/train", kTrainRecords);
  *spec.add_test_data() = MakeData(directory + "/test", kTestRecords);
  const auto train = BuildNet(spec.train_net(), caffe::TRAIN);
  *spec.mutable_layout() = train->layout();
  *spec.mutable_train_outputs() = train->output_specs();
  *spec.add_test_outputs() = BuildNet(spec.test_nets(0), caffe::TEST)->output_specs();
  return spec;
}

// Five parts of two records each, dropout, and as many passes.
inline void InParts(v1::JobSpec* spec, int passes) {
  spec->mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  spec->mutable_consistency()->set_parts(5);
  spec->mutable_solver()->set_iter_size(passes);
  spec->mutable_solver()->set_momentum(0.9f);
  caffe::LayerParameter* dropout = spec->mutable_train_net()->add_layer();
  // Before the loss, in place of the layer that was there.
  dropout->set_name("drop");
  dropout->set_type("Dropout");
  dropout->add_bottom("ip1");
  dropout->add_top("ip1");
  for (int i = spec->train_net().layer_size() - 1; i > 3; --i)
    spec->mutable_train_net()->mutable_layer()->SwapElements(i, i - 1);
}

inline v1::OpenJobRequest OpenRequestFor(const v1::JobSpec& spec, uint32_t servers, uint64_t epoch) {
  v1::OpenJobRequest request;
  request.set_job_id(spec.job_id());
  request.set_epoch(epoch);
  request.set_chunk_elements(kChunkElements);
  request.set_servers(servers);
  request.set_seed(spec.seed());
  *request.mutable_consistency() = spec.consistency();
  *request.mutable_layout() = spec.layout();
  *request.mutable_solver() = spec.solver();
  return request;
}

}  // namespace samovar
