#include "server/store/parameter_service.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <random>
#include <span>
#include <thread>

#include "common/model/layout.h"
#include "tests/server/store/test_server.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::vector<float> InitialWeights() {
  std::vector<float> weights(kElements);
  REQUIRE_OK(FillLayoutRange(MakeJob().layout(), MakeJob().seed(), 0, weights));
  return weights;
}

std::vector<float> WeightsIn(const v1::ExchangeResponse& response) {
  std::vector<float> weights;
  REQUIRE(response.weights_size() == kChunks);
  for (const v1::ChunkData& data : response.weights()) {
    const std::vector<float> values = FloatsIn(data);
    REQUIRE(values.size() == ChunkSize(data.chunk()));
    weights.insert(weights.end(), values.begin(), values.end());
  }
  return weights;
}

// The initial weights after `updates` gradients of ones. The constant half is exact; the random half is rounded at each
// step.
void RequireMoved(const std::vector<float>& weights, uint64_t updates) {
  REQUIRE(weights.size() == kElements);
  for (size_t i = 0; i < 9000; ++i) REQUIRE(weights[i] == 0.5f - static_cast<float>(updates) * kRate);
}

struct Fixture {
  TempDir directory;
  TestServer server{directory.path()};
  TestClient client{server};
};

TEST_CASE_METHOD(Fixture, "an opened job has the layout's initial weights and empty ledgers") {
  auto opened = client.Open();
  REQUIRE_OK(opened);
  REQUIRE(opened->ledgers_size() == kChunks);
  for (const v1::ChunkLedger& ledger : opened->ledgers()) REQUIRE(ledger.ledger().watermark() == 0);
  REQUIRE(WeightsIn(client.AskOk(MakePull())) == InitialWeights());
}

TEST_CASE_METHOD(Fixture, "opening an open job again answers with its ledgers, and another one is refused") {
  REQUIRE_OK(client.Open());
  client.AskOk(MakePush(0, 1));
  auto again = client.Open();
  REQUIRE_OK(again);
  for (const v1::ChunkLedger& ledger : again->ledgers()) REQUIRE(ledger.ledger().watermark() == 1);

  const auto code = absl::StatusCode::kFailedPrecondition;
  v1::OpenJobRequest other = MakeJob();
  other.mutable_layout()->mutable_blobs(0)->set_lr_mult(7);
  REQUIRE_STATUS(client.Open(other), code, "another layout");
  other = MakeJob();
  other.mutable_chunks()->RemoveLast();
  REQUIRE_STATUS(client.Open(other), code, "other chunks");
  other = MakeJob();
  other.mutable_solver()->set_base_lr(3);
  REQUIRE_STATUS(client.Open(other), code, "another solver");
}

TEST_CASE_METHOD(Fixture, "a fused request answers with the weights that contain its push") {
  REQUIRE_OK(client.Open());
  v1::ExchangeRequest request = MakePush(0, 1);
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk) request.add_pull(chunk);
  const v1::ExchangeResponse response = client.AskOk(request);
  REQUIRE(response.applied() == kChunks);
  REQUIRE(response.duplicates() == 0);
  RequireMoved(WeightsIn(response), 1);
  for (const v1::ChunkData& data : response.weights()) REQUIRE(data.version() == 1);
}

TEST_CASE_METHOD(Fixture, "a repeated push is acknowledged, dropped, and answered with the current weights") {
  REQUIRE_OK(client.Open());
  client.AskOk(MakePush(0, 1));
  client.AskOk(MakePush(1, 1));
  v1::ExchangeRequest repeated = MakePush(0, 1);
  repeated.mutable_pull()->CopyFrom(MakePull().pull());
  const v1::ExchangeResponse response = client.AskOk(repeated);
  REQUIRE(response.applied() == 0);
  REQUIRE(response.duplicates() == kChunks);
  RequireMoved(WeightsIn(response), 2);
}

TEST_CASE_METHOD(Fixture, "four clients that push the same iterations apply each once to every chunk") {
  constexpr int kClients = 4;
  constexpr uint64_t kIterations = 60;
  REQUIRE_OK(client.Open());
  std::vector<std::thread> threads;
  std::atomic<uint64_t> applied{0}, duplicates{0};
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      TestClient worker(server);
      std::vector<uint64_t> order(kIterations);
      for (uint64_t t = 0; t < kIterations; ++t) order[t] = t;
      std::shuffle(order.begin(), order.end(), std::mt19937(i));
      for (uint64_t t : order) worker.Send(MakePush(t, 1));
      for (uint64_t t = 0; t < kIterations; ++t) {
        v1::ExchangeResponse response;
        worker.Receive(&response);
        applied += response.applied();
        duplicates += response.duplicates();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(applied == kIterations * kChunks);
  REQUIRE(duplicates == (kClients - 1) * kIterations * kChunks);
  auto ledgers = client.Ledgers();
  REQUIRE_OK(ledgers);
  for (const v1::ChunkLedger& ledger : ledgers->ledgers()) {
    REQUIRE(ledger.ledger().watermark() == kIterations);
    REQUIRE(ledger.ledger().beyond().empty());
  }
  REQUIRE(ledgers->counters().applied() == applied);
  REQUIRE(ledgers->counters().duplicates() == duplicates);
  RequireMoved(WeightsIn(client.AskOk(MakePull())), kIterations);
}

TEST_CASE_METHOD(Fixture, "a skipped iteration is in every ledger once, and changes nothing") {
  REQUIRE_OK(client.Open());
  client.AskOk(MakePush(0, 1));
  const std::vector<float> before = WeightsIn(client.AskOk(MakePull()));
  auto skipped = client.Skip(1);
  REQUIRE_OK(skipped);
  CHECK(skipped->skipped() == kChunks);
  skipped = client.Skip(1);
  REQUIRE_OK(skipped);
  CHECK(skipped->skipped() == kChunks);
  CHECK(skipped->duplicates() == 0);
  // A worker that computes it again comes too late, and hears that it was skipped.
  REQUIRE_STATUS(client.AskForError(MakePush(1, 1)), absl::StatusCode::kAlreadyExists, "has skipped iteration 1");
  // A chunk that has an update keeps it.
  skipped = client.Skip(0);
  REQUIRE_OK(skipped);
  CHECK(skipped->skipped() == 0);
  CHECK(skipped->duplicates() == kChunks);
  CHECK(WeightsIn(client.AskOk(MakePull())) == before);
  auto ledgers = client.Ledgers();
  REQUIRE_OK(ledgers);
  for (const v1::ChunkLedger& ledger : ledgers->ledgers()) CHECK(ledger.ledger().watermark() == 2);
  CHECK(ledgers->counters().skipped() == kChunks);
  REQUIRE_STATUS(client.Skip(1000000), absl::StatusCode::kInvalidArgument, "is not one of job \"job\"");
  REQUIRE_STATUS(client.Skip(2, /*part=*/1), absl::StatusCode::kInvalidArgument, "there is no part 1");
}

TEST_CASE_METHOD(Fixture,
                 "opening an open job again releases its frozen copies, and the server knows which share it has") {
  REQUIRE_OK(client.Open());
  REQUIRE_OK(client.Freeze(7));
  client.AskOk(MakeFrozenPull(7));
  REQUIRE_OK(client.Open());
  REQUIRE(client.AskForError(MakeFrozenPull(7)).code() == absl::StatusCode::kNotFound);
  auto snapshots = client.Snapshots();
  REQUIRE_OK(snapshots);
  CHECK(snapshots->open().servers() == MakeJob().servers());
  REQUIRE_OK(client.Close());
  snapshots = client.Snapshots();
  REQUIRE_OK(snapshots);
  CHECK_FALSE(snapshots->has_open());
  CHECK(snapshots->last_share().chunk_elements() == kChunkElements);
}

TEST_CASE_METHOD(Fixture, "an older epoch than one seen is refused, naming both") {
  v1::OpenJobRequest job = MakeJob();
  job.set_epoch(7);
  REQUIRE_OK(client.Open(job));
  const auto code = absl::StatusCode::kFailedPrecondition;
  REQUIRE_STATUS(client.Open(), code, "epoch 1 is older than 7");
  REQUIRE_STATUS(client.Freeze(0), code, "epoch 1 is older than 7");
  REQUIRE_STATUS(client.Close(), code, "epoch 1 is older than 7");
  REQUIRE_STATUS(client.AskForError(MakePush(0, 1)), code, "epoch 1 is older than 7");
  v1::ExchangeRequest newer = MakePush(0, 1);
  newer.set_epoch(9);
  REQUIRE_STATUS(client.AskForError(newer), code, "epoch 9 is newer than 7");
  REQUIRE_OK(client.Freeze(0, 9));
  client.AskOk(newer);
  REQUIRE_STATUS(client.Freeze(0, 8), code, "epoch 8 is older than 9");
  // A pull alone belongs to no lease.
  client.AskOk(MakePull());
}

TEST_CASE_METHOD(Fixture, "NaN in one chunk is refused, and the request's other chunks are applied") {
  REQUIRE_OK(client.Open());
  v1::ExchangeRequest request;
  request.set_job_id("job");
  request.set_epoch(1);
  request.set_iteration(3);
  AddPush(&request, 0, std::vector<float>(ChunkSize(0), 1));
  std::vector<float> bad(ChunkSize(1), 1);
  bad[77] = std::numeric_limits<float>::quiet_NaN();
  AddPush(&request, 1, bad);
  AddPush(&request, 2, std::vector<float>(ChunkSize(2), 1));
  const v1::ExchangeResponse response = client.Ask(request);
  REQUIRE(response.code() == static_cast<int>(absl::StatusCode::kInvalidArgument));
  REQUIRE(absl::StrContains(response.message(), "iteration 3 for chunk 1"));
  REQUIRE(response.applied() == 2);
  auto ledgers = client.Ledgers();
  REQUIRE_OK(ledgers);
  REQUIRE(ledgers->ledgers(0).ledger().beyond_size() == 1);
  REQUIRE(ledgers->ledgers(1).ledger().beyond_size() == 0);
  REQUIRE(ledgers->ledgers(2).ledger().beyond_size() == 1);
  REQUIRE(ledgers->counters().rejected() == 1);
}

TEST_CASE_METHOD(Fixture, "requests that make no sense are answered with what is wrong, and the stream lives on") {
  REQUIRE_OK(client.Open());
  const auto invalid = absl::StatusCode::kInvalidArgument;
  REQUIRE_STATUS(client.AskForError(v1::ExchangeRequest()), invalid, "job_id is empty");
  v1::ExchangeRequest request = MakePush(0, 1);
  request.set_job_id("nobody's");
  REQUIRE_STATUS(client.AskForError(request), absl::StatusCode::kNotFound, "job \"nobody's\" is not open");
  REQUIRE_STATUS(client.AskForError(MakePush(1000, 1)), invalid, "max_iter 1000");
  REQUIRE_STATUS(client.AskForError(MakePush(UINT64_MAX, 1)), invalid, "max_iter 1000");

  request = MakePush(0, 1);
  request.mutable_push(2)->set_chunk(4000000000u);
  REQUIRE_STATUS(client.AskForError(request), invalid, "chunk 4000000000");
  request = MakePush(1, 1);
  request.mutable_push(0)->mutable_payload()->pop_back();
  REQUIRE_STATUS(client.AskForError(request), invalid, "16383 bytes");
  request = MakePush(2, 1);
  request.mutable_push(0)->clear_payload();
  REQUIRE_STATUS(client.AskForError(request), invalid, "0 bytes");
  request = MakePush(3, 1);
  request.mutable_push(1)->set_encoding(static_cast<v1::Encoding>(99));
  REQUIRE_STATUS(client.AskForError(request), invalid, "unknown encoding 99");
  v1::ExchangeRequest pull = MakePull();
  pull.set_pull_encoding(static_cast<v1::Encoding>(99));
  REQUIRE_STATUS(client.AskForError(pull), invalid, "unknown pull_encoding 99");
  pull.set_pull_encoding(v1::ENCODING_SPARSE);
  REQUIRE_STATUS(client.AskForError(pull), invalid, "weights are not sparse");
  request = MakePush(3, 1);
  request.mutable_push(1)->set_encoding(v1::ENCODING_SPARSE);
  REQUIRE_STATUS(client.AskForError(request), invalid, "chunk 1: the sparse payload lists");
  request.mutable_push(1)->mutable_payload()->push_back('x');
  REQUIRE_STATUS(client.AskForError(request), invalid, "at most 16384 in topk");
  request = MakePush(4, 1);
  AddPush(&request, 0, std::vector<float>(ChunkSize(0), 1));
  REQUIRE_STATUS(client.AskForError(request), invalid, "pushes 4 chunks");
  request = MakePull();
  request.add_pull(77);
  REQUIRE_STATUS(client.AskForError(request), invalid, "chunk 77");
  request = MakePull();
  for (int i = 0; i < 100000; ++i) request.add_pull(0);
  REQUIRE_STATUS(client.AskForError(request), invalid, "fit into a response");
  REQUIRE_STATUS(client.AskForError(MakeFrozenPull(5)), absl::StatusCode::kNotFound, "5");
  client.AskOk(MakePull());
}

TEST_CASE_METHOD(Fixture, "random messages never bring the server down") {
  REQUIRE_OK(client.Open());
  std::mt19937 random(5);
  for (int i = 0; i < 300; ++i) {
    v1::ExchangeRequest request;
    if (random() % 4 != 0) request.set_job_id(random() % 2 ? "job" : std::string(random() % 400, 'x'));
    request.set_epoch(random() % 3);
    request.set_iteration(random() % 2 ? random() % 1100 : (uint64_t{random()} << 32));
    request.set_frozen(random() % 2);
    request.set_frozen_iteration(random() % 3);
    for (uint32_t n = random() % 4; n > 0; --n) {
      v1::ChunkData* data = request.add_push();
      data->set_chunk(random() % 2 ? random() % 4 : static_cast<uint32_t>(random()));
      data->set_encoding(static_cast<v1::Encoding>(random() % 5));
      data->set_payload(std::string(random() % 3 == 0 ? ChunkSize(0) * 4 : random() % 50, static_cast<char>(random())));
    }
    for (uint32_t n = random() % 5; n > 0; --n)
      request.add_pull(random() % 2 ? random() % 4 : static_cast<uint32_t>(random()));
    client.Ask(request);
  }
  const std::vector<float> weights = WeightsIn(client.AskOk(MakePull()));
  REQUIRE(AllFinite(weights));
}

TEST_CASE_METHOD(Fixture, "a job that cannot be hosted is refused with the reason") {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  REQUIRE_STATUS(client.Open(v1::OpenJobRequest()), invalid, "job_id");
  v1::OpenJobRequest job = MakeJob();
  job.set_job_id(std::string(1000, 'x'));
  REQUIRE_STATUS(client.Open(job), invalid, "job_id");
  job = MakeJob();
  job.set_chunk_elements(1);
  REQUIRE_STATUS(client.Open(job), invalid, "chunk size 1");
  job = MakeJob();
  job.add_chunks(3);
  REQUIRE_STATUS(client.Open(job), invalid, "chunk 3 does not exist");
  job = MakeJob();
  job.add_chunks(1);
  REQUIRE_STATUS(client.Open(job), invalid, "chunk 1 is listed twice");
  job = MakeJob();
  job.set_share(1);
  REQUIRE_STATUS(client.Open(job), invalid, "share");
  job = MakeJob();
  job.mutable_layout()->mutable_blobs(1)->set_offset(3);
  REQUIRE_STATUS(client.Open(job), invalid, "begins at 3");
  job = MakeJob();
  job.mutable_layout()->mutable_blobs(1)->set_rule(static_cast<v1::UpdateRule>(9));
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kUnimplemented, "update rule 9");
  job = MakeJob();
  job.mutable_solver()->set_lr_policy("sometimes");
  REQUIRE_STATUS(client.Open(job), invalid, "\"sometimes\"");
  job = MakeJob();
  job.mutable_layout()->mutable_blobs(0)->mutable_filler()->set_value(std::numeric_limits<float>::infinity());
  REQUIRE_STATUS(client.Open(job), invalid, "NaN or infinity in chunk");
  REQUIRE_STATUS(client.Ledgers(), absl::StatusCode::kNotFound, "job \"job\" is not open");
  REQUIRE_OK(client.Open());
}

TEST_CASE("jobs and frozen copies beyond the memory limit are refused, and closing gives the memory back") {
  TempDir directory;
  // One job of 10000 weights and as many of history, and a little.
  TestServer server(directory.path(), 90000);
  TestClient client(server);
  REQUIRE_OK(client.Open());
  v1::OpenJobRequest other = MakeJob();
  other.set_job_id("other");
  REQUIRE_STATUS(client.Open(other), absl::StatusCode::kResourceExhausted, "80000 bytes are needed");
  REQUIRE_STATUS(client.Freeze(1), absl::StatusCode::kResourceExhausted, "freezing job \"job\" as 1");
  client.AskOk(MakePush(0, 1));
  REQUIRE_OK(client.Close());
  REQUIRE_OK(client.Close());
  REQUIRE_OK(client.Open(other));
}

TEST_CASE_METHOD(Fixture, "a copy frozen while clients push holds exactly the updates of its ledgers") {
  constexpr uint64_t kIterations = 150;
  REQUIRE_OK(client.Open());
  std::thread pusher([&] {
    TestClient worker(server);
    for (uint64_t t = 0; t < kIterations; ++t) {
      // Iteration t moves the constant weights by t + 1 steps, so that the sum tells which updates are in.
      worker.Send(MakePush((t * 7) % kIterations, static_cast<float>((t * 7) % kIterations + 1)));
      v1::ExchangeResponse response;
      worker.Receive(&response);
    }
  });
  for (uint64_t name = 0; name < 10; ++name) {
    REQUIRE_OK(client.Freeze(name));
    REQUIRE_OK(client.Persist(name));
  }
  pusher.join();
  server.Stop();

  auto store = SnapshotStore::Open(directory.File("snapshots"));
  REQUIRE_OK(store);
  for (uint64_t name = 0; name < 10; ++name) {
    for (uint32_t number = 0; number < kChunks; ++number) {
      auto image = (*store)->ReadChunk("job", name, number);
      REQUIRE_OK(image);
      REQUIRE(image->version == image->ledger.size());
      uint64_t steps = 0;
      for (uint64_t t = 0; t < kIterations; ++t) steps += image->ledger.Contains(t) ? t + 1 : 0;
      // The first 808 floats of the last chunk belong to the constant blob too.
      const float expected = 0.5f - static_cast<float>(steps) * kRate;
      for (float weight : std::span(image->weights).first(808)) REQUIRE(weight == expected);
    }
  }
}

TEST_CASE_METHOD(Fixture, "a frozen copy is pulled as it was, from memory and then from the snapshot store") {
  REQUIRE_OK(client.Open());
  client.AskOk(MakePush(0, 1));
  REQUIRE_OK(client.Freeze(1));
  client.AskOk(MakePush(1, 1));
  // The name exists: nothing is copied anew.
  REQUIRE_OK(client.Freeze(1));
  RequireMoved(WeightsIn(client.AskOk(MakeFrozenPull(1))), 1);
  REQUIRE_OK(client.Persist(1));
  REQUIRE_OK(client.Thaw(1));
  REQUIRE_OK(client.Thaw(1));
  RequireMoved(WeightsIn(client.AskOk(MakeFrozenPull(1))), 1);
  RequireMoved(WeightsIn(client.AskOk(MakePull())), 2);
  REQUIRE_OK(client.Close());
  RequireMoved(WeightsIn(client.AskOk(MakeFrozenPull(1))), 1);

  REQUIRE_OK(client.Open());
  REQUIRE_OK(client.Freeze(9));
  REQUIRE_OK(client.Thaw(9));
  REQUIRE_STATUS(client.AskForError(MakeFrozenPull(9)), absl::StatusCode::kNotFound, "snapshot 9");
  REQUIRE_STATUS(client.Persist(9), absl::StatusCode::kNotFound, "no frozen copy 9");
}

TEST_CASE("a job restored after a restart goes on as if nothing had happened") {
  TempDir directory;
  v1::OpenJobRequest job = MakeJob();
  job.mutable_solver()->set_momentum(0.9f);
  std::vector<float> expected;
  {
    TestServer server(directory.path());
    TestClient client(server);
    REQUIRE_OK(client.Open(job));
    for (uint64_t t : {0, 1, 2, 5}) client.AskOk(MakePush(t, 1));
    REQUIRE_OK(client.Freeze(6));
    REQUIRE_OK(client.Persist(6));
    client.AskOk(MakePush(3, 1));
    expected = WeightsIn(client.AskOk(MakePull()));
  }
  TestServer server(directory.path());
  TestClient client(server);
  job.set_restore(true);
  job.set_restore_iteration(6);
  auto opened = client.Open(job);
  REQUIRE_OK(opened);
  for (const v1::ChunkLedger& ledger : opened->ledgers()) {
    REQUIRE(ledger.ledger().watermark() == 3);
    REQUIRE(ledger.ledger().beyond_size() == 1);
  }
  // The snapshot holds 5 and lacks 3.
  REQUIRE(client.AskOk(MakePush(5, 1)).duplicates() == kChunks);
  REQUIRE(client.AskOk(MakePush(3, 1)).applied() == kChunks);
  REQUIRE(WeightsIn(client.AskOk(MakePull())) == expected);
}

TEST_CASE_METHOD(Fixture, "a snapshot that does not fit the job is refused with what differs") {
  REQUIRE_OK(client.Open());
  REQUIRE_OK(client.Freeze(6));
  REQUIRE_OK(client.Persist(6));
  REQUIRE_OK(client.Close());
  v1::OpenJobRequest job = MakeJob();
  job.set_restore(true);
  job.set_restore_iteration(5);
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kNotFound, "snapshot 5");
  job.set_restore_iteration(6);
  v1::OpenJobRequest other = job;
  other.set_servers(2);
  other.mutable_chunks()->Clear();
  other.add_chunks(0);
  other.add_chunks(2);
  const auto code = absl::StatusCode::kFailedPrecondition;
  REQUIRE_STATUS(client.Open(other), code, "server 0 of 1");
  other = job;
  other.set_chunk_elements(5000);
  other.mutable_chunks()->RemoveLast();
  REQUIRE_STATUS(client.Open(other), code, "chunks of 4096 floats");
  other = job;
  other.mutable_layout()->mutable_blobs(0)->set_layer("other");
  REQUIRE_STATUS(client.Open(other), code, "another net");
  REQUIRE_OK(client.Open(job));
}

TEST_CASE_METHOD(Fixture, "a stream that the client half-closes gets its answers and ends well") {
  REQUIRE_OK(client.Open());
  for (int i = 0; i < 40; ++i) REQUIRE(client.Send(MakePull()));
  REQUIRE(client.WritesDone());
  v1::ExchangeResponse response;
  int answers = 0;
  while (client.Receive(&response)) ++answers;
  REQUIRE(answers == 40);
  REQUIRE_OK(client.Finish());
}

TEST_CASE_METHOD(Fixture, "a client that reads late gets all its answers") {
  constexpr int kRequests = 300;
  REQUIRE_OK(client.Open());
  // Both directions together are far more than windows and the server's bound hold: the writer waits for the reader.
  std::thread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      v1::ExchangeRequest request = MakePush(i, 1);
      request.mutable_pull()->CopyFrom(MakePull().pull());
      client.Send(request);
    }
  });
  TestClient other(server);
  other.AskOk(MakePull());
  for (int i = 0; i < kRequests; ++i) {
    v1::ExchangeResponse response;
    REQUIRE(client.Receive(&response));
    REQUIRE(response.code() == 0);
  }
  writer.join();
  RequireMoved(WeightsIn(other.AskOk(MakePull())), kRequests);
}

TEST_CASE("a server with open streams and requests under way ends in good order") {
  for (int round = 0; round < 5; ++round) {
    TempDir directory;
    TestServer server(directory.path());
    TestClient idle(server);
    REQUIRE_OK(idle.Open());
    idle.AskOk(MakePull());
    TestClient busy(server);
    for (int i = 0; i < 10; ++i) {
      v1::ExchangeRequest request = MakePush(i, 1);
      request.mutable_pull()->CopyFrom(MakePull().pull());
      REQUIRE(busy.Send(request));
    }
    server.Stop();
    v1::ExchangeResponse response;
    REQUIRE_FALSE(idle.Receive(&response));
    REQUIRE_FALSE(idle.Finish().ok());
  }
}

TEST_CASE_METHOD(Fixture, "clients that vanish in the middle leave no trace") {
  REQUIRE_OK(client.Open());
  for (int i = 0; i < 20; ++i) {
    TestClient vanishing(server);
    for (int n = 0; n < 20; ++n) vanishing.Send(MakePull());
  }
  client.AskOk(MakePull());
}

TEST_CASE("a service that was never started can be destroyed") {
  TempDir directory;
  auto service = ParameterService::Create({.apply_threads = 1, .state_dir = directory.path()});
  REQUIRE_OK(service);
  REQUIRE_STATUS(ParameterService::Create({.apply_threads = 0, .state_dir = directory.path()}),
                 absl::StatusCode::kInvalidArgument, "apply_threads");
  REQUIRE_STATUS(ParameterService::Create({.apply_threads = 1, .state_dir = ""}), absl::StatusCode::kInvalidArgument,
                 "state_dir");
}

}  // namespace
}  // namespace samovar
