// Jobs that begin from model files, and solvers' histories that outlive the server.
#include <random>
#include <string>
#include <vector>

#include "common/caffe/model_file.h"
#include "common/caffe/solver_state_file.h"
#include "common/model/layout.h"
#include "common/model/solver_history.h"
#include "tests/server/store/test_server.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

const char* const kTypes[] = {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"};

v1::OpenJobRequest JobWith(const std::string& type) {
  v1::OpenJobRequest job = MakeJob();
  job.mutable_solver()->set_type(type);
  if (type != "AdaGrad" && type != "RMSProp") job.mutable_solver()->set_momentum(0.9f);
  job.mutable_solver()->set_weight_decay(0.01f);
  return job;
}

int VectorsOf(const v1::OpenJobRequest& job) { return *HistoryVectors(job.solver()); }

// Iteration t's gradient: random, and the same whenever it is pushed.
v1::ExchangeRequest RandomPush(uint64_t t) {
  v1::ExchangeRequest request = MakePush(t, 0);
  std::mt19937 random(static_cast<uint32_t>(t));
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (v1::ChunkData& data : *request.mutable_push()) {
    std::vector<float> gradient(ChunkSize(data.chunk()));
    for (float& value : gradient) value = uniform(random);
    data.set_payload(gradient.data(), gradient.size() * sizeof(float));
  }
  return request;
}

std::vector<float> Flat(const v1::ExchangeResponse& response) {
  std::vector<float> flat;
  for (const v1::ChunkData& data : response.weights()) {
    const std::vector<float> values = FloatsIn(data);
    flat.insert(flat.end(), values.begin(), values.end());
  }
  REQUIRE(flat.size() == kElements);
  return flat;
}

v1::ExchangeRequest PullVector(uint64_t iteration, uint32_t vector) {
  v1::ExchangeRequest request = MakeFrozenPull(iteration);
  request.set_vector(vector);
  return request;
}

// A model of the job's one layer.
caffe::NetParameter ModelOf(const v1::OpenJobRequest& job, const std::vector<float>& weights) {
  caffe::NetParameter model;
  caffe::LayerParameter* layer = model.add_layer();
  layer->set_name("ip");
  for (const v1::ParameterBlob& parameter : job.layout().blobs()) {
    caffe::BlobProto* blob = layer->add_blobs();
    blob->mutable_shape()->add_dim(parameter.shape(0));
    const auto begin = weights.begin() + static_cast<std::ptrdiff_t>(parameter.offset());
    blob->mutable_data()->Add(begin, begin + parameter.shape(0));
  }
  return model;
}

TEST_CASE("a snapshot of any solver, restored after a restart, goes on to the bit") {
  for (const char* type : kTypes) {
    INFO(type);
    TempDir directory;
    v1::OpenJobRequest job = JobWith(type);
    std::vector<float> expected;
    {
      TestServer server(directory.path());
      TestClient client(server);
      REQUIRE_OK(client.Open(job));
      for (uint64_t t : {0, 1, 2, 5}) client.AskOk(RandomPush(t));
      REQUIRE_OK(client.Freeze(6));
      REQUIRE_OK(client.Persist(6));
      for (uint64_t t : {4, 3, 6}) client.AskOk(RandomPush(t));
      expected = Flat(client.AskOk(MakePull()));
    }
    TestServer server(directory.path());
    TestClient client(server);
    job.set_restore(true);
    job.set_restore_iteration(6);
    REQUIRE_OK(client.Open(job));
    for (uint64_t t : {4, 3, 6}) client.AskOk(RandomPush(t));
    REQUIRE(Flat(client.AskOk(MakePull())) == expected);
  }
}

TEST_CASE("a model and a solver's state, made of a frozen copy, continue any solver to the bit") {
  for (const char* type : kTypes) {
    INFO(type);
    TempDir directory;
    TestServer server(directory.path());
    TestClient client(server);
    v1::OpenJobRequest job = JobWith(type);
    REQUIRE_OK(client.Open(job));
    for (uint64_t t : {0, 2, 1}) client.AskOk(RandomPush(t));
    REQUIRE_OK(client.Freeze(3));
    for (uint64_t t : {3, 4}) client.AskOk(RandomPush(t));
    const std::vector<float> expected = Flat(client.AskOk(MakePull()));

    std::vector<std::vector<float>> history;
    for (int i = 1; i <= VectorsOf(job); ++i) history.push_back(Flat(client.AskOk(PullVector(3, i))));
    const std::string model = directory.File("a.caffemodel");
    job.mutable_initial_model()->set_solver_state(directory.File("a.solverstate"));
    REQUIRE_OK(WriteModel(model, ModelOf(job, Flat(client.AskOk(MakeFrozenPull(3)))), StorageTable()));
    REQUIRE_OK(WriteSolverState(job.initial_model().solver_state(),
                                MakeSolverState(job.solver(), job.layout(), 3, model, history), StorageTable()));
    REQUIRE_OK(client.Close());

    auto opened = client.Open(job);
    REQUIRE_OK(opened);
    for (const v1::ChunkLedger& ledger : opened->ledgers()) {
      REQUIRE(ledger.ledger().watermark() == 3);
      REQUIRE(ledger.ledger().beyond_size() == 0);
    }
    const v1::ExchangeResponse begin = client.AskOk(MakePull());
    for (const v1::ChunkData& data : begin.weights()) REQUIRE(data.version() == 3);
    REQUIRE(client.AskOk(RandomPush(2)).duplicates() == kChunks);
    for (uint64_t t : {3, 4}) client.AskOk(RandomPush(t));
    REQUIRE(Flat(client.AskOk(MakePull())) == expected);
  }
}

struct Fixture {
  TempDir directory;
  TestServer server{directory.path()};
  TestClient client{server};
  v1::OpenJobRequest job = MakeJob();
};

TEST_CASE_METHOD(Fixture, "a job with weights begins from them, and layers that they lack from their fillers") {
  job.mutable_layout()->mutable_blobs(1)->set_layer("top");
  job.mutable_layout()->mutable_blobs(1)->set_index(0);
  std::vector<float> weights(kElements);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i);
  caffe::NetParameter model = ModelOf(job, weights);
  model.mutable_layer(0)->mutable_blobs()->RemoveLast();
  job.mutable_initial_model()->add_weights(directory.File("a.caffemodel"));
  REQUIRE_OK(WriteModel(job.initial_model().weights(0), model, StorageTable()));
  auto opened = client.Open(job);
  REQUIRE_OK(opened);
  REQUIRE(opened->ledgers(0).ledger().watermark() == 0);
  const std::vector<float> begin = Flat(client.AskOk(MakePull()));
  std::vector<float> filled(kElements);
  REQUIRE_OK(FillLayoutRange(job.layout(), job.seed(), 0, filled));
  for (size_t i = 0; i < kElements; ++i) REQUIRE(begin[i] == (i < 9000 ? weights[i] : filled[i]));

  v1::OpenJobRequest other = job;
  other.clear_initial_model();
  REQUIRE_STATUS(client.Open(other), absl::StatusCode::kFailedPrecondition, "another initial model");
}

TEST_CASE_METHOD(Fixture, "files that do not fit refuse the job by name, and it can be opened without them") {
  const std::vector<float> weights(kElements, 1);
  caffe::NetParameter model = ModelOf(job, weights);
  model.mutable_layer(0)->mutable_blobs(0)->add_data(1);
  model.mutable_layer(0)->mutable_blobs(0)->mutable_shape()->set_dim(0, 9001);
  job.mutable_initial_model()->add_weights(directory.File("a.caffemodel"));
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kNotFound, "a.caffemodel");
  REQUIRE_OK(WriteModel(job.initial_model().weights(0), model, StorageTable()));
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kInvalidArgument,
                 "layer \"ip\", blob 0 is 9001 in the file and 9000 in the net");
  REQUIRE_OK(WriteModel(job.initial_model().weights(0), ModelOf(job, weights), StorageTable()));
  job.mutable_initial_model()->set_solver_state(directory.File("a.solverstate"));
  const std::vector<std::vector<float>> history = {weights};
  REQUIRE_OK(WriteSolverState(job.initial_model().solver_state(),
                              MakeSolverState(job.solver(), job.layout(), 1001, "", history), StorageTable()));
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kInvalidArgument, "iteration 1001, beyond max_iter 1000");
  job.mutable_solver()->set_type("Adam");
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kInvalidArgument, "2 history blobs; this solver and net need 4");
  job.clear_initial_model();
  REQUIRE_OK(client.Open(job));
}

TEST_CASE_METHOD(Fixture,
                 "a solver's history is pulled from frozen and from stored copies only, as far as there is one") {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  job = JobWith("SGD");
  REQUIRE_OK(client.Open(job));
  client.AskOk(RandomPush(0));
  REQUIRE_OK(client.Freeze(1));
  REQUIRE_OK(client.Persist(1));
  const std::vector<float> frozen = Flat(client.AskOk(PullVector(1, 1)));
  REQUIRE(frozen != std::vector<float>(kElements, 0));
  REQUIRE_STATUS(client.AskForError(PullVector(1, 2)), invalid, "no vector 2: its solver keeps 1");
  v1::ExchangeRequest live = MakePull();
  live.set_vector(1);
  REQUIRE_STATUS(client.AskForError(live), invalid, "frozen");
  REQUIRE_OK(client.Close());
  REQUIRE(Flat(client.AskOk(PullVector(1, 1))) == frozen);
}

}  // namespace
}  // namespace samovar
