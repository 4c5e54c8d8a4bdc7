#include "cli/check/check_job.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/check/mode.h"
#include "cli/describe_job.h"
#include "common/caffe/mean_file.h"
#include "common/caffe/model_file.h"
#include "common/import/dataset_partition.h"
#include "common/import/idx_import.h"
#include "common/model/consistency.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr char kSolver[] = R"(
net: "$DIR/net.prototxt"
test_iter: 4
test_interval: 10
base_lr: 0.01
momentum: 0.9
lr_policy: "fixed"
max_iter: 20
snapshot: 10
snapshot_prefix: "$DIR/out/small net"
solver_mode: CPU
random_seed: 7
)";
constexpr char kNet[] = R"(
name: "small"
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.00390625 crop_size: 4 }
  data_param { source: "$DIR/train_lmdb" batch_size: 2 backend: LMDB }
}
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.00390625 crop_size: 4 }
  data_param { source: "$DIR/test_lmdb" batch_size: 5 backend: LMDB }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
)";

std::string BigEndian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

// A solver with its net and two LMDBs of 5x6 images, which a test spoils in one place.
class SmallJob {
 public:
  SmallJob() {
    Import("train_lmdb", 400);
    Import("test_lmdb", 20);
    WriteSolver({});
    WriteNet({});
  }

  using Changes = std::vector<std::pair<std::string, std::string>>;
  void WriteSolver(const Changes& changes) { Write("solver.prototxt", kSolver, changes); }
  void WriteNet(const Changes& changes) { Write("net.prototxt", kNet, changes); }

  void ReplaceNet(const std::string& text) { Write("net.prototxt", text, {}); }

  absl::StatusOr<CheckedJob> Check(const JobChoice& choice) const {
    return CheckJob(dir_.File("solver.prototxt"), {}, choice);
  }
  absl::StatusOr<CheckedJob> Check() const { return CheckJob(dir_.File("solver.prototxt")); }
  const TempDir& dir() const { return dir_; }

 private:
  void Write(const std::string& name, const std::string& text, const Changes& changes) {
    std::string changed = text;
    for (const auto& [from, to] : changes) {
      REQUIRE(absl::StrContains(changed, from));
      changed = absl::StrReplaceAll(changed, {{from, to}});
    }
    std::ofstream(dir_.File(name)) << absl::StrReplaceAll(changed, {{"$DIR", dir_.path()}});
  }

  void Import(const std::string& name, uint32_t records) {
    std::ofstream images(dir_.File("images"), std::ios::binary), labels(dir_.File("labels"), std::ios::binary);
    images << BigEndian(2051) << BigEndian(records) << BigEndian(5) << BigEndian(6)
           << std::string(records * 30, '\x40');
    labels << BigEndian(2049) << BigEndian(records);
    for (uint32_t i = 0; i < records; ++i) labels.put(static_cast<char>(i % 3));
    images.close();
    labels.close();
    REQUIRE_OK(ImportIdx(dir_.File("images"), dir_.File("labels"), dir_.File(name), {}));
  }

  TempDir dir_;
};

}  // namespace

TEST_CASE("a solver and all files that it and its nets name may be in another storage") {
  SmallJob small;
  const auto mounted = std::make_shared<MountedStorage>(small.dir().path());
  JobChoice choice;
  choice.storage.Add("mem", mounted);
  small.WriteSolver({{"net: \"$DIR/net.prototxt\"", "net: \"mem:/net.prototxt\" weights: \"mem:/w.caffemodel\""}});
  small.WriteNet({{"$DIR/", "mem:/"}, {"crop_size: 4", "mean_file: \"mem:/mean.binaryproto\""}});
  caffe::NetParameter model;
  model.add_layer()->set_name("another");
  REQUIRE_OK(WriteModel("mem:/w.caffemodel", model, choice.storage));
  caffe::BlobProto mean;
  mean.set_num(1);
  mean.set_channels(1);
  mean.set_height(5);
  mean.set_width(6);
  for (int i = 0; i < 30; ++i) mean.add_data(1);
  REQUIRE_OK(WriteMeanFile("mem:/mean.binaryproto", mean, choice.storage));
  const auto job = CheckJob("mem:/solver.prototxt", {}, choice);
  REQUIRE_OK(job);
  CHECK(job->spec.train_data().uri() == "mem:/train_lmdb");
  CHECK(job->spec.train_data().records() == 400);
  CHECK(job->spec.initial_model().weights(0) == "mem:/w.caffemodel");
  for (const char* const name :
       {"solver.prototxt", "net.prototxt", "train_lmdb", "test_lmdb", "mean.binaryproto", "w.caffemodel"}) {
    INFO(name);
    CHECK(mounted->Had(absl::StrCat("fetch mem:/", name)));
  }
}

TEST_CASE("a good solver becomes a job that can be submitted") {
  const SmallJob small;
  const auto job = small.Check();
  REQUIRE_OK(job);
  const v1::JobSpec& spec = job->spec;
  CHECK(spec.job_id() == "small-net");
  CHECK(job->snapshot_prefix == small.dir().File("out/small net"));
  CHECK(spec.solver().max_iter() == 20);
  CHECK_FALSE(spec.solver().has_net());
  CHECK(spec.train_net().layer_size() == 3);
  CHECK(spec.train_data().layer() == "data");
  CHECK(spec.train_data().uri() == small.dir().File("train_lmdb"));
  CHECK(spec.train_data().records() == 400);
  REQUIRE(spec.train_data().tops_size() == 2);
  CHECK(absl::StrJoin(spec.train_data().tops(0).shape(), "x") == "1x4x4");
  CHECK(spec.train_data().tops(1).shape().empty());
  CHECK(spec.train_data().batch_size() == 2);
  CHECK(spec.train_data().partitions() == 16);
  CHECK(spec.train_data().block() == 0);
  REQUIRE(spec.test_nets_size() == 1);
  REQUIRE(spec.test_data_size() == 1);
  CHECK(spec.test_data(0).records() == 20);
  CHECK(spec.test_data(0).batch_size() == 5);
  // Cropped to 4x4: 3 outputs of 16 inputs, and as many biases.
  CHECK(spec.layout().elements() == 3 * 16 + 3);
  REQUIRE(spec.train_outputs().outputs_size() == 1);
  CHECK(spec.train_outputs().outputs(0).name() == "loss");
  REQUIRE(spec.test_outputs_size() == 1);
  REQUIRE(spec.test_outputs(0).outputs_size() == 2);
  CHECK(spec.test_outputs(0).outputs(0).name() == "accuracy");
}

TEST_CASE("iter_size makes iterations larger, and older statistics count less after each") {
  SmallJob small;
  small.WriteSolver({{"max_iter: 20", "max_iter: 20 iter_size: 3"}});
  small.WriteNet({{"layer {\n  name: \"ip\"", R"(layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
                   layer { name: "ip")"}});
  const absl::StatusOr<CheckedJob> job = small.Check();
  REQUIRE_OK(job);
  CHECK(job->spec.train_data().batch_size() == 2);
  REQUIRE(job->spec.layout().blobs(0).layer() == "bn");
  CHECK(std::abs(job->spec.layout().blobs(0).moving_average_fraction() - 0.999f * 0.999f * 0.999f) < 1e-6f);
  CHECK(absl::StrContains(DescribeJob(*job), "2 a batch, 3 batches an iteration"));
  CHECK(absl::StrContains(DescribeJob(*job), "without loss of accuracy in async mode"));
}

TEST_CASE("an iteration of more records than there may be is refused with their number and the limit") {
  SmallJob small;
  small.WriteSolver({{"max_iter: 20", "max_iter: 20 iter_size: 2147483647"}});
  small.WriteNet({{"batch_size: 2", "batch_size: 3"}});
  REQUIRE_STATUS(small.Check(), absl::StatusCode::kInvalidArgument,
                 "2147483647 x 3 records (iter_size x batch_size) has 6442450941 records; "
                 "it may have at most 4294967295");
}

TEST_CASE("a job gets the mode that was asked for, or what there is to ask for is said") {
  SmallJob small;
  small.WriteNet({{"batch_size: 2", "batch_size: 12"}});
  const std::string solver = small.dir().File("solver.prototxt");
  v1::JobSpec spec = small.Check()->spec;
  REQUIRE_OK(ApplyMode({}, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "async");
  REQUIRE_OK(ApplyMode({"bounded", {}, {}, "", {}}, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "bounded, delay 4");
  CHECK(spec.consistency().mode() == v1::CONSISTENCY_BOUNDED);

  spec = small.Check()->spec;
  // The largest divisor of 12 up to 8.
  REQUIRE_OK(ApplyMode({"sync", {}, {}, "", {}}, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "sync in 6 parts");
  CHECK(spec.consistency().mode() == v1::CONSISTENCY_SYNC);
  CHECK(spec.train_data().batch_size() == 12);
  CHECK(spec.consistency().parts() == 6u);
  REQUIRE_OK(ApplyMode({"sync", {}, 12, "", {}}, solver, &spec));
  CHECK(spec.consistency().parts() == 12);
  REQUIRE_STATUS(ApplyMode({"sync", {}, 5, "", {}}, solver, &spec), absl::StatusCode::kInvalidArgument,
                 "--parts 5 does not divide the batch of 12 records; choose one of 1, 2, 3, 4, 6, 12");
}

TEST_CASE("topk has a ratio, and is not for sync mode") {
  SmallJob small;
  v1::JobSpec spec = small.Check()->spec;
  const std::string solver = small.dir().File("solver.prototxt");
  REQUIRE_OK(ApplyMode({"bounded", {}, {}, "topk", {}}, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "bounded, delay 4, topk 0.01");
  REQUIRE_OK(ApplyMode({"", {}, {}, "topk", 0.25}, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "async, topk 0.25");
  CHECK(spec.consistency().topk_ratio() == 0.25);
  REQUIRE_STATUS(ApplyMode({"sync", {}, {}, "topk", {}}, solver, &spec), absl::StatusCode::kInvalidArgument,
                 "take the mode async");
}

TEST_CASE("what is to be done about late gradients goes with modes that have them") {
  SmallJob small;
  const std::string solver = small.dir().File("solver.prototxt");
  ModeChoice choice;
  choice.staleness_scaling = "none";
  choice.delay_compensation = 0.04f;
  v1::JobSpec spec = small.Check()->spec;
  REQUIRE_OK(ApplyMode(choice, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "async, staleness none, compensation 0.04");
  CHECK(spec.consistency().staleness_scaling() == v1::STALENESS_SCALING_NONE);
  CHECK(spec.consistency().delay_compensation() == 0.04f);
  choice.mode = "bounded";
  choice.delay = 1;
  REQUIRE_OK(ApplyMode(choice, solver, &spec));
  CHECK(spec.consistency().staleness_scaling() == v1::STALENESS_SCALING_NONE);
  choice.delay = 0;
  REQUIRE_STATUS(ApplyMode(choice, solver, &spec), absl::StatusCode::kInvalidArgument,
                 "the mode async, or bounded with a delay of at least 1");
  choice.mode = "sync";
  choice.staleness_scaling = "";
  REQUIRE_STATUS(ApplyMode(choice, solver, &spec), absl::StatusCode::kInvalidArgument, "gradients that come late");
  choice.delay_compensation = 0;
  REQUIRE_OK(ApplyMode(choice, solver, &spec));
}

TEST_CASE("a job pushes every so many iterations, or what that does not go together with is said") {
  SmallJob small;
  const std::string solver = small.dir().File("solver.prototxt");
  ModeChoice choice;
  choice.push_every = 8;
  v1::JobSpec spec = small.Check()->spec;
  spec.mutable_solver()->set_snapshot(16);
  spec.mutable_solver()->set_test_interval(8);
  REQUIRE_OK(ApplyMode(choice, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "async, a push every 8 iterations");
  CHECK(spec.consistency().push_every() == 8u);
  choice.mode = "bounded";
  REQUIRE_OK(ApplyMode(choice, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "bounded, delay 32, a push every 8 iterations");
  choice.delay = 7;
  REQUIRE_STATUS(ApplyMode(choice, solver, &spec), absl::StatusCode::kInvalidArgument,
                 "bounded with a delay of at least 8");
  choice.mode = "sync";
  REQUIRE_STATUS(ApplyMode(choice, solver, &spec), absl::StatusCode::kInvalidArgument, "take the mode async");
  choice.mode = "";
  spec.mutable_solver()->set_test_interval(12);
  REQUIRE_STATUS(ApplyMode(choice, solver, &spec), absl::StatusCode::kInvalidArgument,
                 "write test_interval: 16 in the solver, or choose push_every 4");
  choice.push_every = 1;
  REQUIRE_OK(ApplyMode(choice, solver, &spec));
  CHECK(ConsistencyText(spec.consistency()) == "async");
}

TEST_CASE("a net that cannot be built for the records of a part is refused before it is started") {
  SmallJob small;
  // Of a batch of 2 whatever the batch is.
  small.WriteNet({{"layer { name: \"accuracy\"", R"(layer { name: "shape" type: "Reshape" bottom: "ip" top: "shape"
                   include { phase: TRAIN } reshape_param { shape { dim: 2 dim: 3 } } }
                   layer { name: "silence" type: "Silence" bottom: "shape" include { phase: TRAIN } }
                   layer { name: "accuracy")"}});
  v1::JobSpec spec = small.Check()->spec;
  REQUIRE_STATUS(ApplyMode({"sync", {}, 2, "", {}}, small.dir().File("solver.prototxt"), &spec),
                 absl::StatusCode::kInvalidArgument, "TRAIN net for 1 records, one of 2 parts of the batch");
}

TEST_CASE("checking a job makes no files") {
  const SmallJob small;
  REQUIRE_OK(small.Check());
  CHECK_FALSE(std::filesystem::exists(small.dir().File("out")));
}

TEST_CASE("a small set of records is one partition") {
  SmallJob small;
  small.WriteNet({{"batch_size: 2", "batch_size: 64"}});
  const auto job = small.Check();
  REQUIRE_OK(job);
  CHECK(job->spec.train_data().partitions() == 1);
}

TEST_CASE(
    "a partitioned set keeps its partitions, and gives iterations to them in blocks, and of one partition it is cut as "
    "an LMDB is") {
  const SmallJob small;
  ImportOptions options;
  options.force = true;
  for (const uint32_t partitions : {5u, 1u}) {
    options.partitions = partitions;
    REQUIRE_OK(PartitionDataset(small.dir().File("train_lmdb"), small.dir().File("train_lmdb"), options));
    REQUIRE_OK(PartitionDataset(small.dir().File("test_lmdb"), small.dir().File("test_lmdb"), options));
    const auto job = small.Check();
    REQUIRE_OK(job);
    const v1::DatasetSpec& data = job->spec.train_data();
    CHECK(data.records() == 400);
    CHECK(data.partitions() == (partitions == 1 ? 16 : 5));
    CHECK(data.block() == (partitions == 1 ? 0 : 32));
    CHECK(absl::StrContains(DescribeJob(*job), "a label in 5 partitions, 2 a batch") == (partitions == 5));
    CHECK(job->spec.test_data(0).partitions() == 1);
    CHECK(job->spec.test_data(0).block() == 0);
  }
}

TEST_CASE("two data layers of one length and batch keep together, and of others each is read in its own order") {
  SmallJob small;
  constexpr char kTwo[] = R"(
layer {
  name: "data" type: "Data" top: "data" include { phase: TRAIN }
  data_param { source: "$DIR/train_lmdb" batch_size: 2 backend: LMDB }
}
layer {
  name: "labels" type: "Data" top: "pixels" top: "label" include { phase: TRAIN }
  data_param { source: "$DIR/LABELS" batch_size: BATCH backend: LMDB }
}
layer { name: "silence" type: "Silence" bottom: "pixels" include { phase: TRAIN } }
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  data_param { source: "$DIR/test_lmdb" batch_size: 5 backend: LMDB }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
)";
  small.ReplaceNet(absl::StrReplaceAll(kTwo, {{"LABELS", "train_lmdb"}, {"BATCH", "2"}}));
  auto job = small.Check();
  REQUIRE_OK(job);
  v1::DatasetSpec data = job->spec.train_data();
  REQUIRE(data.further_size() == 1);
  CHECK(data.further(0).layer() == "labels");
  CHECK(data.further(0).tops_size() == 2);
  CHECK(data.further(0).partitions() == data.partitions());
  CHECK_FALSE(data.in_order());
  CHECK(absl::StrContains(DescribeJob(*job), "record i of one is with record i of the others"));
  CHECK(job->spec.test_data(0).further().empty());

  ImportOptions options;
  options.partitions = 5;
  REQUIRE_OK(PartitionDataset(small.dir().File("train_lmdb"), small.dir().File("train_set"), options));
  small.ReplaceNet(absl::StrReplaceAll(kTwo, {{"LABELS", "train_set"}, {"BATCH", "2"}}));
  job = small.Check();
  REQUIRE_OK(job);
  data = job->spec.train_data();
  CHECK(data.partitions() == 5);
  CHECK(data.further(0).partitions() == 5);
  CHECK(data.block() == 32);

  small.ReplaceNet(absl::StrReplaceAll(kTwo, {{"LABELS", "test_lmdb"}, {"BATCH", "2"}}));
  job = small.Check();
  REQUIRE_OK(job);
  data = job->spec.train_data();
  CHECK(data.in_order());
  CHECK(data.further(0).in_order());
  CHECK(data.partitions() == 1);
  CHECK(data.further(0).records() == 20);
  CHECK(absl::StrContains(DescribeJob(*job), "each is read in its own order"));

  small.ReplaceNet(absl::StrReplaceAll(kTwo, {{"LABELS", "train_lmdb"}, {"BATCH", "3"}}));
  REQUIRE_STATUS(small.Check(), absl::StatusCode::kInvalidArgument, "layer \"loss\"");
}

TEST_CASE("a solver that asks for a GPU is checked as any other, with a warning") {
  SmallJob small;
  small.WriteSolver({{"solver_mode: CPU", "solver_mode: GPU"}});
  const auto job = small.Check();
  REQUIRE_OK(job);
  CHECK(absl::StrContains(absl::StrJoin(job->warnings, "\n"), "solver_mode: GPU: the CPU computes"));
}

TEST_CASE("a solver that has wrong values has its nets and data checked all the same") {
  SmallJob small;
  small.WriteNet({{"test_lmdb", "tset_lmdb"}});
  small.WriteSolver({{"max_iter: 20", "max_iter: 20 iter_size: 0"}, {"momentum: 0.9", "momentum: 2"}});
  const auto job = small.Check();
  REQUIRE_STATUS(job, absl::StatusCode::kInvalidArgument, "momentum must be at least 0 and below 1");
  CHECK(absl::StrContains(job.status().message(), "iter_size must be at least 1"));
  CHECK(absl::StrContains(job.status().message(), ": TEST net #0: layer \"data\""));
}

TEST_CASE("what is wrong with the solver's text is named with file and line") {
  SmallJob small;
  small.WriteSolver({{"max_iter", "max_itr"}});
  REQUIRE_STATUS(small.Check(), absl::StatusCode::kInvalidArgument, "solver.prototxt:8");
}

TEST_CASE("data that is not there is named with its layer and phase") {
  SmallJob small;
  small.WriteNet({{"test_lmdb", "tset_lmdb"}});
  const auto job = small.Check();
  REQUIRE_STATUS(job, absl::StatusCode::kNotFound, "TEST net #0: layer \"data\"");
  REQUIRE_STATUS(job, absl::StatusCode::kNotFound, small.dir().File("tset_lmdb"));
}

TEST_CASE("a directory that is no LMDB is refused by name") {
  SmallJob small;
  std::filesystem::create_directories(small.dir().File("empty"));
  small.WriteNet({{"train_lmdb", "empty"}});
  const auto job = small.Check();
  CHECK_FALSE(job.ok());
  INFO(job.status());
  CHECK(absl::StrContains(job.status().message(), small.dir().File("empty")));
}

TEST_CASE("a crop larger than the records is refused with its layer") {
  SmallJob small;
  small.WriteNet({{"crop_size: 4", "crop_size: 9"}});
  REQUIRE_STATUS(small.Check(), absl::StatusCode::kInvalidArgument, "TRAIN net: layer \"data\"");
}

TEST_CASE("a net that cannot be built is refused with its phase and layer") {
  SmallJob small;
  small.WriteNet({{"num_output: 3", "num_output: 0"}});
  const auto job = small.Check();
  REQUIRE_STATUS(job, absl::StatusCode::kInvalidArgument, "TRAIN net: ");
  REQUIRE_STATUS(job, absl::StatusCode::kInvalidArgument, "\"ip\"");
}

TEST_CASE("a net without a loss is refused") {
  SmallJob small;
  small.WriteNet({{"type: \"SoftmaxWithLoss\" bottom: \"ip\" bottom: \"label\"", "type: \"Softmax\" bottom: \"ip\""}});
  REQUIRE_STATUS(small.Check(), absl::StatusCode::kInvalidArgument, "has no loss");
}

TEST_CASE("a test net with parameters of its own is refused") {
  SmallJob small;
  small.WriteNet(
      {{"layer {\n  name: \"ip\"",
        "layer { name: \"ip_test\" type: \"InnerProduct\" bottom: \"data\" top: \"ip\" include { phase: TEST }\n"
        "  inner_product_param { num_output: 3 } }\n"
        "layer {\n  name: \"ip\" include { phase: TRAIN }"}});
  REQUIRE_STATUS(small.Check(), absl::StatusCode::kInvalidArgument,
                 "TEST net #0: layer \"ip_test\" has parameters that the TRAIN net does not train");
}

TEST_CASE("a test net whose layer has another shape than the train net's is refused") {
  SmallJob small;
  small.WriteNet({{"include { phase: TEST }\n  transform_param { scale: 0.00390625 crop_size: 4 }",
                   "include { phase: TEST }\n  transform_param { scale: 0.00390625 }"}});
  REQUIRE_STATUS(small.Check(), absl::StatusCode::kInvalidArgument,
                 "layer \"ip\": parameter 0 is 3x30, in the TRAIN net it is 3x16");
}

namespace {

// "<the net's path>:line:column: " of the first layer whose text begins so.
std::string PlaceOf(const SmallJob& small, const std::string& layer) {
  std::ifstream file(small.dir().File("net.prototxt"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t at = text.find(layer);
  REQUIRE(at != std::string::npos);
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
  return absl::StrCat(small.dir().File("net.prototxt"), ":", line, ":1: ");
}

}  // namespace

TEST_CASE(
    "all layers of both nets that are wrong are told at once, each once, at their places, and nothing that follows "
    "from them") {
  SmallJob small;
  small.WriteNet({{"inner_product_param { num_output: 3", "inner_product_param { axis: 7 num_output: 3"},
                  {"type: \"Accuracy\"", "type: \"Acuracy\""},
                  {"layer { name: \"loss\"",
                   "layer { name: \"odd\" type: \"ReLU\" bottom: \"dato\" top: \"odd\" }\nlayer { name: \"loss\""}});
  const absl::Status status = small.Check().status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  const std::vector<std::string> lines = absl::StrSplit(status.message(), '\n');
  REQUIRE(lines.size() == 3);
  CHECK_THAT(lines[0], Catch::StartsWith(PlaceOf(small, "layer {\n  name: \"ip\"") +
                                         "TRAIN net: layer \"ip\" (InnerProduct), bottom \"data\" [2, 1, 4, 4]: "));
  CHECK_THAT(lines[1],
             Catch::StartsWith(
                 PlaceOf(small, "layer { name: \"odd\"") +
                 "TRAIN net: layer \"odd\" (ReLU): no layer before it has a top \"dato\"; did you mean \"data\"?"));
  CHECK_THAT(lines[2], Catch::StartsWith(PlaceOf(small, "layer { name: \"accuracy\"") +
                                         "TEST net #0: layer \"accuracy\": type \"Acuracy\" is not offered"));
}

TEST_CASE("what is wrong with the solver and with its net's text is told at once") {
  SmallJob small;
  small.WriteSolver({{"max_iter: 20", "max_iter: -20"}});
  small.WriteNet({{"bottom: \"data\" top: \"ip\"", "botom: \"data\" top: \"ip\""}});
  const absl::Status status = small.Check().status();
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("max_iter") && Catch::Contains("botom") && Catch::Contains("did you mean \"bottom\""));
}

TEST_CASE("records that cannot be read are told beside layers that are wrong whatever the records are") {
  SmallJob small;
  small.WriteNet({{"train_lmdb", "no_such_lmdb"}, {"type: \"SoftmaxWithLoss\"", "type: \"SoftmaxWithLos\""}});
  const absl::Status status = small.Check().status();
  CHECK_THAT(std::string(status.message()),
             Catch::Contains(PlaceOf(small, "layer {\n  name: \"data\"") + "TRAIN net: layer \"data\"") &&
                 Catch::Contains("\"SoftmaxWithLos\" is not offered"));
}

TEST_CASE("a blob that several layers take has the user's name in errors") {
  SmallJob small;
  small.WriteNet({{"layer { name: \"loss\" type: \"SoftmaxWithLoss\" bottom: \"ip\" bottom: \"label\"",
                   "layer { name: \"loss\" type: \"SoftmaxWithLoss\" bottom: \"ip\" bottom: \"data\""}});
  const absl::Status status = small.Check().status();
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("layer \"loss\" (SoftmaxWithLoss), bottom \"ip\" [2, 3] and \"data\" [2, 1, 4, 4]: "));
  CHECK_THAT(std::string(status.message()), !Catch::Contains("_split"));
}

TEST_CASE("two layers with weights of one name are refused with the places of both") {
  SmallJob small;
  small.WriteNet({{"layer { name: \"accuracy\"",
                   "layer { name: \"ip\" type: \"InnerProduct\" bottom: \"ip\" top: \"top\" inner_product_param { "
                   "num_output: 3 } }\nlayer { name: \"accuracy\""}});
  const std::string first = PlaceOf(small, "layer {\n  name: \"ip\"");
  REQUIRE_STATUS(
      small.Check(), absl::StatusCode::kInvalidArgument,
      absl::StrCat(PlaceOf(small, "layer { name: \"ip\""),
                   "TRAIN net: two layers with weights are named \"ip\": layer \"ip\" (InnerProduct) with top \"ip\" (",
                   first.substr(0, first.size() - 2),
                   ") and layer \"ip\" (InnerProduct) with top \"top\"; rename one"));
}

TEST_CASE("a job's description names nets, data, parameters and files") {
  const SmallJob small;
  const auto job = small.Check();
  REQUIRE_OK(job);
  const std::string text = DescribeJob(*job);
  INFO(text);
  CHECK(absl::StrContains(text, "SGD, 20 iterations, base_lr 0.01 (fixed), momentum 0.9"));
  CHECK(absl::StrContains(text, "400 records of 1x4x4 and a label, 2 a batch"));
  CHECK(absl::StrContains(text, "51 parameters, 204 bytes"));
  CHECK(absl::StrContains(text, "out/small net_iter_20.caffemodel, and one every 10 iterations"));
  CHECK_FALSE(absl::StrContains(text, "ask for"));
}

TEST_CASE("a description says which records a test takes, and --test-all takes all") {
  SmallJob small;
  small.WriteSolver({{"test_iter: 4", "test_iter: 1"}});
  auto job = small.Check();
  REQUIRE_OK(job);
  CHECK(absl::StrContains(DescribeJob(*job),
                          "with 5 of 20 records (test_iter x batch_size), a test going on where the one before"));
  JobChoice choice;
  choice.test_all = true;
  job = small.Check(choice);
  REQUIRE_OK(job);
  CHECK(job->spec.solver().test_iter(0) == 4);
  CHECK(absl::StrContains(DescribeJob(*job), "with all 20 records"));
  small.WriteSolver({{"test_iter: 4", "test_iter: 100"}});
  job = small.Check();
  REQUIRE_OK(job);
  CHECK(absl::StrContains(DescribeJob(*job), "with all 20 records, each once (test_iter x batch_size is 500)"));
}

TEST_CASE("stages and a level choose layers of the net that is trained, and not of those that test it") {
  SmallJob small;
  small.WriteNet({{"num_output: 3",
                   "num_output: 3 } include { not_stage: \"wide\" } include { phase: TEST } }\n"
                   "layer { name: \"ip\" type: \"InnerProduct\" bottom: \"data\" top: \"ip\" "
                   "include { phase: TRAIN stage: \"wide\" min_level: 2 } inner_product_param { num_output: 4"}});
  JobChoice choice;
  choice.state = {"wide,other", 2};
  REQUIRE_STATUS(small.Check(choice), absl::StatusCode::kInvalidArgument,
                 "TEST net #0: layer \"ip\": parameter 0 is 3x16, in the TRAIN net it is 4x16");
  REQUIRE_OK(small.Check());
  choice.state.level = 1;
  REQUIRE_STATUS(small.Check(choice), absl::StatusCode::kInvalidArgument, "layer \"loss\"");
}

TEST_CASE("job ids come from the snapshot prefix") {
  CHECK(JobIdOf("out/lenet") == "lenet");
  CHECK(JobIdOf("lenet") == "lenet");
  CHECK(JobIdOf("out/my net!") == "my-net-");
  // As a new job's name must be.
  CHECK(JobIdOf("out/.hidden") == "hidden");
  CHECK(JobIdOf("-!v") == "v");
  CHECK(JobIdOf("..") == "job");
  CHECK(JobIdOf("out/") == "job");
  CHECK(JobIdOf(std::string(100, 'x')).size() == 64);
}

}  // namespace samovar
