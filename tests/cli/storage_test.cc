// Every place of the three programs that reads or writes a path of a user goes through the table that its program was
// given: here one with the scheme "test:", which no other table has. What makes a table of its own refuses the scheme.
#include <google/protobuf/text_format.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/check/check_job.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/run/job_client.h"
#include "cli/run/job_watcher.h"
#include "cli/run/model_writer.h"
#include "cli/run/waker.h"
#include "cli/submit_job.h"
#include "common/base/clock.h"
#include "common/import/image_encoder.h"
#include "config/cli_flags.h"
#include "server/server.h"
#include "tests/cli/captured_output.h"
#include "tests/common/data/write_dataset.h"
#include "tests/common/data/write_hdf5.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "worker/train/worker.h"

namespace samovar {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

// Images of one channel, 2x3, in all sources; the trained net subtracts a mean, and has a matrix of losses.
constexpr char kNet[] = R"(
name: "small"
layer { name: "train" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        transform_param { mean_file: "test:/mean.binaryproto" }
        data_param { source: "test:/lmdb" batch_size: 2 backend: LMDB } }
layer { name: "rows" type: "HDF5Data" top: "data" top: "label" include { phase: TEST stage: "rows" }
        hdf5_data_param { source: "test:/files.txt" batch_size: 2 } }
layer { name: "images" type: "ImageData" top: "data" top: "label" include { phase: TEST not_stage: "rows" }
        image_data_param { source: "test:/images.txt" root_folder: "test:/images/" is_color: false batch_size: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "InfogainLoss" bottom: "ip" bottom: "label" top: "loss"
        infogain_loss_param { source: "test:/matrix" } }
)";
constexpr char kSolver[] = R"(
net: "test:/net.prototxt" test_state { stage: "rows" } test_state { } test_iter: 1 test_iter: 1 test_interval: 2
base_lr: 0.001 momentum: 0.9 lr_policy: "fixed" snapshot_prefix: "test:/out/small" random_seed: 7
)";

void WriteFile(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

caffe::BlobProto Blob(const std::string& text) {
  caffe::BlobProto blob;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &blob));
  return blob;
}

// A process's view of the storage, and what it asked of it.
struct View {
  explicit View(const std::string& directory) : mounted(std::make_shared<MountedStorage>(directory)) {
    table.Add("test", mounted);
  }
  void CheckHad(const std::vector<std::string>& calls) const {
    for (const std::string& call : calls) {
      INFO(call);
      CHECK(mounted->Had(call));
    }
  }

  std::shared_ptr<MountedStorage> mounted;
  StorageTable table;
};

// The files of a job, and of a model.
class Files {
 public:
  Files() {
    std::filesystem::create_directory(dir_.File("images"));
    std::vector<std::pair<std::string, std::string>> records;
    for (int i = 0; i < 4; ++i) {
      caffe::Datum datum;
      datum.set_channels(1);
      datum.set_height(2);
      datum.set_width(3);
      datum.set_label(i % 3);
      datum.set_data(std::string(6, static_cast<char>(40 + i)));
      records.emplace_back(absl::StrCat(i), datum.SerializeAsString());
      const auto png = EncodeImage({{1, 2, 3}, datum.data()}, ImageFormat::kPng);
      REQUIRE_OK(png);
      WriteFile(dir_.File(absl::StrCat("images/", i, ".png")), *png);
    }
    WriteRecords(dir_.File("lmdb"), records);
    WriteFile(dir_.File("images.txt"), "0.png 0\n1.png 1\n2.png 2\n3.png 0\n");
    WriteHdf5(dir_.File("rows.h5"), {{"data", {4, 1, 2, 3}, std::vector<float>(24, 1)}, {"label", {4}, {0, 1, 2, 0}}});
    WriteFile(dir_.File("files.txt"), "test:/rows.h5\n");
    WriteFile(dir_.File("mean.binaryproto"),
              Blob("num: 1 channels: 1 height: 2 width: 3 data: [1, 1, 1, 1, 1, 1]").SerializeAsString());
    WriteFile(dir_.File("matrix"), Blob("shape { dim: [3, 3] } data: [1, 0, 0, 0, 1, 0, 0, 0, 1]").SerializeAsString());
    WriteFile(dir_.File("net.prototxt"), kNet);
    WriteSolver("max_iter: 4 snapshot: 2");
  }
  void WriteSolver(const std::string& fields) const { WriteFile(dir_.File("solver.prototxt"), kSolver + fields); }
  const std::string& path() const { return dir_.path(); }

 private:
  TempDir dir_;
};

// A coordinator, which is the one parameter server, and a worker.
class Cluster {
 public:
  Cluster(const StorageTable& of_server, const StorageTable& of_worker) {
    Server::Options options;
    options.is_coordinator = true;
    options.state_dir = state_.path();
    options.storage = of_server;
    auto server = Server::Start(options);
    REQUIRE_OK(server);
    server_ = *std::move(server);
    Worker::Options worker;
    worker.coordinator = server_->address();
    worker.storage = of_worker;
    worker_ = std::make_unique<Worker>(worker);
    thread_ = std::thread([this] { worker_->Run(); });
  }
  ~Cluster() {
    worker_->Stop();
    thread_.join();
  }

  JobClient Client() const { return JobClient({server_->address(), RpcOptions()}); }

  // Takes the job to its end.
  v1::JobStatus Train(const v1::JobSpec& spec) const {
    const JobClient client = Client();
    REQUIRE_OK(client.Submit(spec));
    Waker waker;
    JobWatcher watcher(client.coordinator(), spec.job_id(), absl::Milliseconds(10), &waker);
    const absl::Time deadline = SteadyNow() + kPatience;
    v1::JobStatus status;
    while (SteadyNow() < deadline) {
      if (const auto news = watcher.Take()) status = *news;
      if (status.state() != v1::JOB_STATE_QUEUED && status.state() != v1::JOB_STATE_RUNNING &&
          status.state() != v1::JOB_STATE_UNSPECIFIED)
        break;
      waker.Wait(deadline);
    }
    INFO(status.DebugString());
    CHECK(status.state() == v1::JOB_STATE_SUCCEEDED);
    return status;
  }

 private:
  TempDir state_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Worker> worker_;
  std::thread thread_;
};

// The job as `submit` makes it.
v1::JobSpec Check(const View& command, const std::string& name, const StartFrom& from = {}) {
  JobChoice choice;
  choice.storage = command.table;
  auto job = CheckJob("test:/solver.prototxt", from, choice);
  REQUIRE_OK(job);
  CHECK(job->snapshot_prefix == "test:/out/small");
  v1::JobSpec spec = std::move(job->spec);
  spec.set_job_id(name);
  spec.set_servers(1);
  spec.set_seed(1);
  return spec;
}

void WriteModels(const View& command, const Cluster& cluster, const v1::JobSpec& spec, const v1::JobStatus& status) {
  Waker waker;
  ModelWriter writer(&spec, "test:/out/small", cluster.Client().dialer(), command.table, &waker);
  writer.Start(static_cast<uint64_t>(spec.solver().max_iter()), status);
  std::optional<ModelWriter::Written> written;
  const absl::Time deadline = SteadyNow() + kPatience;
  while (!written.has_value() && SteadyNow() < deadline) {
    waker.Wait(deadline);
    written = writer.Take();
  }
  REQUIRE(written.has_value());
  REQUIRE_OK(written->model);
  REQUIRE_OK(written->state);
}

// The command ends well.
template <typename Run, typename Options>
void RunWell(Run run, const Options& options) {
  const CapturedOutput captured;
  const int code = run(options);
  const std::string said = captured.err();
  INFO(said);
  CHECK(code == kExitOk);
}

}  // namespace

TEST_CASE("command, server and worker read and write all files of a job where their own tables say that they are") {
  const Files files;
  const View command(files.path());
  const View server(files.path());
  const View worker(files.path());
  const Cluster cluster(server.table, worker.table);

  v1::JobSpec spec = Check(command, "first");
  spec.set_export_snapshots("test:/exports");
  const v1::JobStatus first = cluster.Train(spec);
  WriteModels(command, cluster, spec, first);
  command.CheckHad({"fetch test:/solver.prototxt", "fetch test:/net.prototxt", "fetch test:/lmdb",
                    "fetch test:/mean.binaryproto", "fetch test:/files.txt", "fetch test:/rows.h5",
                    "fetch test:/images.txt", "fetch test:/images/0.png", "fetch test:/matrix",
                    "put test:/out/small_iter_4.caffemodel", "put test:/out/small_iter_4.solverstate"});
  worker.CheckHad({"fetch test:/lmdb", "fetch test:/mean.binaryproto", "fetch test:/files.txt", "fetch test:/rows.h5",
                   "fetch test:/images.txt", "fetch test:/images/0.png", "fetch test:/matrix"});
  server.CheckHad({"put test:/exports/first_iter_4/manifest", "list test:/exports",
                   "put test:/exports/first_iter_4/server-0-of-1.chunks"});

  // Of these only the command and the server know.
  files.WriteSolver("max_iter: 6");
  spec = Check(command, "weights", {"test:/out/small_iter_4.caffemodel", ""});
  cluster.Train(spec);
  server.CheckHad({"fetch test:/out/small_iter_4.caffemodel"});
  command.CheckHad({"fetch test:/out/small_iter_4.caffemodel"});
  spec = Check(command, "state", {"", "test:/out/small_iter_4.solverstate"});
  cluster.Train(spec);
  server.CheckHad({"fetch test:/out/small_iter_4.solverstate"});
  command.CheckHad({"fetch test:/out/small_iter_4.solverstate"});
  spec = Check(command, "restored", {"", "", false, "test:/exports"});
  cluster.Train(spec);
  server.CheckHad(
      {"fetch test:/exports/first_iter_4/manifest", "open test:/exports/first_iter_4/server-0-of-1.chunks"});
  command.CheckHad({"list test:/exports", "fetch test:/exports/first_iter_4/manifest"});

  ModelExportOptions model;
  model.coordinator = cluster.Client().address();
  model.job = "first";
  model.output = "test:/model.caffemodel";
  model.storage = command.table;
  RunWell(RunModelExport, model);
  command.CheckHad({"put test:/model.caffemodel", "put test:/model.solverstate"});
}

TEST_CASE("a server says at submission that an export goes to a scheme that it does not have") {
  const Files files;
  const View command(files.path());
  const Cluster cluster((StorageTable()), StorageTable());
  v1::JobSpec spec = Check(command, "first");
  spec.set_export_snapshots("test:/exports");
  REQUIRE_STATUS(cluster.Client().Submit(spec), absl::StatusCode::kInvalidArgument, "\"test:\" is not offered");
}

// Does not answer.
class SilentStorage final : public MountedStorage {
 public:
  using MountedStorage::MountedStorage;
  absl::Status CheckWritable(const std::string& uri) override {
    (void)MountedStorage::CheckWritable(uri);
    return absl::UnavailableError(absl::StrCat(uri, ": silent"));
  }
};

// As a cluster's home in a storage that does not answer.
class SilentHome final : public MountedStorage {
 public:
  using MountedStorage::MountedStorage;
  absl::StatusOr<StoredFile> Stat(const std::string& uri) override {
    (void)MountedStorage::Stat(uri);
    return absl::UnavailableError(absl::StrCat(uri, ": silent"));
  }
};

TEST_CASE("a plot of a job waits once for a home that does not answer") {
  const TempDir dir;
  const auto storage = std::make_shared<SilentHome>(dir.path());
  PlotOptions options;
  options.storage.Add("test", storage);
  options.runs = {"lenet", "test:/home"};
  options.output = dir.File("lenet.svg");
  const CapturedOutput captured;
  CHECK(RunPlot(options) == kExitFailed);
  CHECK(storage->calls() == std::vector<std::string>{"stat test:/home"});
  CHECK_THAT(captured.err(), Catch::Contains("test:/home: silent"));
}

TEST_CASE("a plot makes no directories") {
  const TempDir dir;
  std::ofstream(dir.File("curve.csv")) << "iteration,loss\n0,1\n";
  PlotOptions options;
  options.runs = {dir.File("curve.csv")};
  options.output = dir.File("x/y.svg");
  {
    const CapturedOutput captured;
    CHECK(RunPlot(options) == kExitUsage);
    CHECK_THAT(captured.err(), Catch::Contains(absl::StrCat("there is no directory ", dir.File("x"))));
  }
  CHECK_FALSE(std::filesystem::exists(dir.File("x")));
  std::filesystem::create_directory(dir.File("x"));
  RunWell(RunPlot, options);
  CHECK(std::filesystem::exists(options.output));
}

TEST_CASE("a submission waits once, and says so, for places of a storage that does not answer") {
  const TempDir dir;
  const auto storage = std::make_shared<SilentStorage>(dir.path());
  SubmitOptions options;
  options.choice.storage.Add("test", storage);
  options.export_snapshots = "test:/exports";
  CheckedJob job;
  job.snapshot_prefix = "test:/models/lenet";
  const CapturedOutput captured;
  REQUIRE_OK(CheckTargets(options, job));
  CHECK(storage->calls() == std::vector<std::string>{"check test:/exports/x"});
  CHECK_THAT(captured.err(), Catch::Contains("whether servers can write there: test:/exports/x: silent"));
}

TEST_CASE("commands about data sets and nets read and write where their options' table says") {
  const Files files;
  const View view(files.path());
  const TempDir made;
  RunWell(RunDataInfo, DataInfoOptions{.path = "test:/lmdb", .storage = view.table});
  RunWell(RunDataMean, DataMeanOptions{.path = "test:/lmdb", .output = "test:/other_mean", .storage = view.table});
  TimeOptions time;
  time.model = "test:/net.prototxt";
  time.iterations = 1;
  time.storage = view.table;
  RunWell(RunTime, time);
  view.CheckHad({"fetch test:/lmdb", "put test:/other_mean", "fetch test:/net.prototxt", "fetch test:/matrix"});
  DataPartitionOptions partition;
  partition.source = "test:/lmdb";
  partition.output = made.File("set");
  partition.partitions = 2;
  partition.storage = view.table;
  RunWell(RunDataPartition, partition);

  ImportImagesFlags images;
  images.images.list = "test:/images.txt";
  images.images.root = "test:/images";
  images.output = made.File("images");
  images.storage = view.table;
  RunWell(RunImportImages, images);
  view.CheckHad({"fetch test:/images.txt", "fetch test:/images/0.png"});
  WriteFile(absl::StrCat(files.path(), "/batch.bin"), std::string(1, '\x07') + std::string(3072, 'x'));
  ImportCifar10Options cifar;
  cifar.inputs = {"test:/batch.bin"};
  cifar.output = made.File("cifar");
  cifar.storage = view.table;
  RunWell(RunImportCifar10, cifar);
  view.CheckHad({"fetch test:/batch.bin"});
}

TEST_CASE("test and features read the net, the weights and the data, and write, where their files' table says") {
  const Files files;
  const View view(files.path());
  const Cluster cluster(view.table, view.table);
  const v1::JobSpec spec = Check(view, "first");
  WriteModels(view, cluster, spec, cluster.Train(spec));

  const View later(files.path());
  ModelFiles model;
  model.model = "test:/net.prototxt";
  model.weights = "test:/out/small_iter_4.caffemodel";
  model.storage = later.table;
  RunWell(RunTest, TestOptions{.files = model});
  later.CheckHad({"fetch test:/net.prototxt", "fetch test:/out/small_iter_4.caffemodel", "fetch test:/images.txt",
                  "fetch test:/matrix"});
  FeaturesOptions features;
  features.files = model;
  features.blobs = "ip";
  features.output = "test:/rows";
  RunWell(RunFeatures, features);
  later.CheckHad({"put test:/rows/features.jsonl"});
}

TEST_CASE("a file of another kind in another storage is told from what a flag takes") {
  const Files files;
  const View view(files.path());
  JobChoice choice;
  choice.storage = view.table;
  REQUIRE_STATUS(CheckJob("test:/solver.prototxt", {"test:/net.prototxt", ""}, choice),
                 absl::StatusCode::kInvalidArgument, "test:/net.prototxt is a .prototxt");
}

TEST_CASE("the command line takes the schemes of its table, and its options have that table") {
  const TempDir dir;
  const View view(dir.path());
  const auto storage_of = [&](const std::vector<const char*>& words) {
    const Parsed<CliFlags> parsed = ParseCliFlags(static_cast<int>(words.size()), words.data(), view.table);
    REQUIRE_FALSE(parsed.exit_code.has_value());
    return std::visit(
        [](const auto& options) -> StorageTable {
          if constexpr (requires { options.choice.storage; }) return options.choice.storage;
          if constexpr (requires { options.files.storage; }) return options.files.storage;
          if constexpr (requires { options.storage; }) return options.storage;
          return StorageTable();
        },
        parsed.flags);
  };
  const std::vector<std::vector<const char*>> lines = {
      {"samovar", "train", "--solver", "test:/a"},
      {"samovar", "check", "test:/a"},
      {"samovar", "submit", "127.0.0.1:1", "--solver", "test:/a", "--weights", "test:/b,test:/c", "--export-snapshots",
       "test:/d"},
      {"samovar", "test", "--model", "test:/a", "--weights", "test:/b", "--data", "test:/c"},
      {"samovar", "features", "--model", "test:/a", "--weights", "test:/b", "--blobs", "x", "--output", "test:/c"},
      {"samovar", "time", "--model", "test:/a"},
      {"samovar", "model", "export", "job", "127.0.0.1:1", "--output", "test:/a"},
      {"samovar", "data", "import", "idx", "--images", "test:/a", "--labels", "test:/b", "--output", "lmdb"},
      {"samovar", "data", "import", "cifar10", "--input", "test:/a", "--output", "lmdb"},
      {"samovar", "data", "import", "leveldb", "--input", "test:/a", "--output", "lmdb"},
      {"samovar", "data", "import", "images", "--list", "test:/a", "--root", "test:/b", "--output", "lmdb"},
      {"samovar", "data", "partition", "test:/a", "set", "--partitions", "2"},
      {"samovar", "data", "mean", "test:/a", "--output", "test:/b"},
      {"samovar", "data", "info", "test:/a"}};
  for (const std::vector<const char*>& line : lines) {
    std::string text;
    for (const char* const word : line) absl::StrAppend(&text, word, " ");
    INFO(text);
    REQUIRE_OK(storage_of(line).StorageFor("test:/x"));
  }
}

}  // namespace samovar
