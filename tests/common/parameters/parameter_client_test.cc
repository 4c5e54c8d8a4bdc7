#include "common/parameters/parameter_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/model/gradient_clip.h"
#include "common/rpc/dialer.h"
#include "common/rpc/listener.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "tests/common/parameters/client_job.h"
#include "tests/common/parameters/parameter_server.h"
#include "tests/support/consistency.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::unique_ptr<ParameterClient> MakeClient(const std::vector<std::string>& servers,
                                            absl::Duration answer_timeout = absl::Seconds(30)) {
  ParameterClient::Options options;
  options.job_id = "job";
  options.elements = kElements;
  options.chunk_elements = kChunkElements;
  options.servers = servers;
  options.answer_timeout = answer_timeout;
  auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
  REQUIRE_OK(client);
  return *std::move(client);
}

// Pushes the same gradient to every float, ready all at once.
absl::StatusOr<ParameterClient::PushResult> Push(ParameterClient* client, uint64_t iteration, float gradient,
                                                 std::span<float> weights = {}, uint64_t epoch = 1) {
  const std::vector<float> gradients(kElements, gradient);
  client->StartPush(iteration, epoch, gradients, weights);
  client->Ready(0, kElements);
  return client->AwaitPush(Soon());
}

bool AllAre(const std::vector<float>& values, float expected) {
  return std::all_of(values.begin(), values.end(), [expected](float value) { return value == expected; });
}

TEST_CASE("weights are pulled from all servers, each float from its place") {
  TempDir dir;
  v1::OpenJobRequest job = MakeJob(2);
  job.mutable_layout()->mutable_blobs(0)->mutable_filler()->set_type("uniform");
  job.mutable_layout()->mutable_blobs(0)->mutable_filler()->set_max(1);
  ParameterServer first(dir.File("0"), job, 0);
  ParameterServer second(dir.File("1"), job, 1);
  job.set_servers(1);
  ParameterServer all(dir.File("all"), job, 0);

  std::vector<float> weights(kElements, -1);
  REQUIRE_OK(MakeClient({first.address(), second.address()})->Pull(weights, Soon()));
  std::vector<float> expected(kElements, -2);
  REQUIRE_OK(MakeClient({all.address()})->Pull(expected, Soon()));
  REQUIRE(weights == expected);
  REQUIRE_FALSE(AllAre(weights, weights[0]));
}

TEST_CASE("a fused push brings back weights that hold it") {
  TempDir dir;
  ParameterServer first(dir.File("0"), MakeJob(2), 0);
  ParameterServer second(dir.File("1"), MakeJob(2), 1);
  auto client = MakeClient({first.address(), second.address()});
  std::vector<float> weights(kElements, -1);
  REQUIRE_OK(client->Pull(weights, Soon()));
  for (uint64_t t = 0; t < 20; ++t) {
    const auto result = Push(client.get(), t, 2, weights);
    REQUIRE_OK(result);
    REQUIRE(result->applied == kChunks);
    REQUIRE(result->duplicates == 0);
    REQUIRE(AllAre(weights, kInitial - 2 * kRate * static_cast<float>(t + 1)));
  }
  // Each push was computed from the newest weights.
  REQUIRE(first.Ledgers("job").counters().staleness_max() == 0);
  REQUIRE(second.Ledgers("job").counters().applied() == 20 * 12);
}

TEST_CASE("staleness is counted from the last pull") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1));
  auto slow = MakeClient({server.address()});
  auto fast = MakeClient({server.address()});
  std::vector<float> weights(kElements);
  REQUIRE_OK(slow->Pull(weights, Soon()));
  REQUIRE_OK(fast->Pull(weights, Soon()));
  for (uint64_t t = 0; t < 3; ++t) REQUIRE_OK(Push(fast.get(), t, 1, weights));
  REQUIRE_OK(Push(slow.get(), 3, 1, weights));
  REQUIRE(server.Ledgers("job").counters().staleness_max() == 3);
  // Each client knows that of its own pushes, once.
  const v1::PushCounters late = slow->TakeStaleness();
  CHECK(late.applied() == kChunks);
  CHECK(late.staleness_sum() == 3 * kChunks);
  CHECK(slow->TakeStaleness().applied() == 0);
  CHECK(fast->TakeStaleness().staleness_max() == 0);
  REQUIRE(AllAre(weights, kInitial - 4 * kRate));
}

TEST_CASE("a push that is repeated is applied once") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1));
  auto client = MakeClient({server.address()});
  std::vector<float> weights(kElements);
  REQUIRE_OK(Push(client.get(), 7, 1));
  const auto again = Push(client.get(), 7, 100, weights);
  REQUIRE_OK(again);
  REQUIRE(again->applied == 0);
  REQUIRE(again->duplicates == kChunks);
  CHECK(client->TakeStaleness().applied() == kChunks);
  REQUIRE(AllAre(weights, kInitial - kRate));
}

TEST_CASE("chunks leave when ranges have covered them, in any order, and not before") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1));
  auto client = MakeClient({server.address()});
  const std::vector<float> gradients(kElements, 1);
  std::vector<float> weights(kElements, -1);
  client->StartPush(0, 1, gradients, weights);
  client->Ready(50'000, kElements);
  client->Ready(100, 50'000);
  // The first chunk lacks 100 floats: the wait is in vain.
  REQUIRE_STATUS(client->AwaitPush(Within(absl::Milliseconds(1))), absl::StatusCode::kDeadlineExceeded, "job job");
  REQUIRE(weights[0] == -1);

  client->StartPush(0, 1, gradients, weights);
  client->Ready(100, 50'000);
  client->Ready(50'000, kElements);
  client->Ready(0, 100);
  REQUIRE_OK(client->AwaitPush(Soon()));
  REQUIRE(AllAre(weights, kInitial - kRate));
}

TEST_CASE("a frozen copy is pulled while the weights move on") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1));
  auto client = MakeClient({server.address()});
  std::vector<float> weights(kElements);
  REQUIRE_OK(Push(client.get(), 0, 1));
  server.Freeze("job", 1);
  REQUIRE_OK(Push(client.get(), 1, 1));
  REQUIRE_OK(client->PullFrozen(1, weights, Soon()));
  REQUIRE(AllAre(weights, kInitial - kRate));
  REQUIRE_STATUS(client->PullFrozen(17, weights, Soon()), absl::StatusCode::kNotFound, server.address());
}

TEST_CASE("a solver's history is pulled from a frozen copy, with how many updates it holds") {
  TempDir dir;
  v1::OpenJobRequest job = MakeJob(1);
  job.mutable_solver()->set_momentum(0.5f);
  ParameterServer server(dir.File("0"), job);
  auto client = MakeClient({server.address()});
  std::vector<float> history(kElements);
  for (uint64_t t : {0, 1}) REQUIRE_OK(Push(client.get(), t, 1));
  server.Freeze("job", 2);
  REQUIRE_OK(Push(client.get(), 2, 1));
  const auto updates = client->PullHistory(2, 1, history, Soon());
  REQUIRE_OK(updates);
  REQUIRE(*updates == 2);
  // The rate is inside the history.
  REQUIRE(AllAre(history, 1.5f * kRate));
  REQUIRE_STATUS(client->PullHistory(2, 2, history, Soon()), absl::StatusCode::kInvalidArgument, "no vector 2");
}

TEST_CASE("a server's refusal is told with the server's name, and the next operation is not affected") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1));
  auto client = MakeClient({server.address()});
  std::vector<float> weights(kElements);
  REQUIRE_STATUS(Push(client.get(), 0, NAN), absl::StatusCode::kInvalidArgument, server.address());
  // The coordinator of that epoch calls first, as it always does.
  server.Freeze("job", 0, 5);
  REQUIRE_OK(Push(client.get(), 1, 1, weights, /*epoch=*/5));
  REQUIRE_STATUS(Push(client.get(), 2, 1, weights, /*epoch=*/4), absl::StatusCode::kFailedPrecondition, "epoch");
  REQUIRE_OK(client->Pull(weights, Soon()));
  REQUIRE(AllAre(weights, kInitial - kRate));
}

TEST_CASE("a server that is started again on its port is found again, and no push is lost or doubled") {
  TempDir dir;
  ParameterServer steady(dir.File("1"), MakeJob(2), 1);
  auto server = std::make_unique<ParameterServer>(dir.File("0"), MakeJob(2), 0);
  const int port = server->port();
  auto client = MakeClient({server->address(), steady.address()});
  std::vector<float> weights(kElements);
  for (uint64_t t = 0; t < 5; ++t) REQUIRE_OK(Push(client.get(), t, 1, weights));
  server->Freeze("job", 5);
  server->Persist("job", 5);
  server.reset();

  // Begun while the server is away.
  const std::vector<float> gradients(kElements, 1);
  client->StartPush(5, 1, gradients, weights);
  client->Ready(0, kElements);
  v1::OpenJobRequest job = MakeJob(2);
  job.set_restore(true);
  job.set_restore_iteration(5);
  server = std::make_unique<ParameterServer>(dir.File("0"), job, 0, port);
  REQUIRE_OK(client->AwaitPush(Soon()));
  REQUIRE(AllAre(weights, kInitial - 6 * kRate));
  REQUIRE(server->Ledgers("job").counters().applied() == 13);
}

TEST_CASE("pushes go through while the server comes and goes") {
  TempDir dir;
  auto server = std::make_unique<ParameterServer>(dir.File("0"), MakeJob(1));
  const int port = server->port();
  auto client = MakeClient({server->address()});
  std::vector<float> weights(kElements);
  for (int restart = 0; restart < 3; ++restart) {
    absl::Status pushed;
    std::thread pusher([&] {
      for (uint64_t t = 0; t < 40 && pushed.ok(); ++t) pushed = Push(client.get(), t, 1, weights).status();
    });
    server.reset();
    server = std::make_unique<ParameterServer>(dir.File("0"), MakeJob(1), 0, port);
    pusher.join();
    REQUIRE_OK(pushed);
  }
  REQUIRE_OK(Push(client.get(), 40, 1, weights));
  // Pushes before the last restart were lost with the server; of the others none is missing.
  const v1::GetLedgersResponse ledgers = server->Ledgers("job");
  REQUIRE(ledgers.ledgers_size() == kChunks);
  for (const v1::ChunkLedger& ledger : ledgers.ledgers()) {
    const auto& beyond = ledger.ledger().beyond();
    if (ledger.ledger().watermark() == 41) continue;
    REQUIRE(beyond.size() == 1);
    REQUIRE(beyond[0].end() == 41);
  }
}

TEST_CASE("a wait ends at its deadline and names the server") {
  // Nobody listens there.
  const std::string nobody = "127.0.0.1:1";
  auto client = MakeClient({nobody});
  std::vector<float> weights(kElements);
  REQUIRE_STATUS(client->Pull(weights, Within(absl::Milliseconds(200))), absl::StatusCode::kDeadlineExceeded, nobody);
}

TEST_CASE("a wait ends when its stopper is stopped") {
  auto client = MakeClient({"127.0.0.1:1"});
  std::vector<float> weights(kElements);
  Stopper stopper;
  std::thread stopping([&stopper] { stopper.Stop(); });
  REQUIRE_STATUS(client->Pull(weights, WaitLimit{absl::InfiniteFuture(), &stopper}), absl::StatusCode::kCancelled,
                 "stopped");
  stopping.join();
}

// A server that answers each request as the test says.
class OddServer final : public v1::ParameterService::Service {
 public:
  // False: no answer.
  using Answer = std::function<bool(const v1::ExchangeRequest&, v1::ExchangeResponse*)>;
  explicit OddServer(Answer answer) : answer_(std::move(answer)) {
    Listener listener({.address = "127.0.0.1:0"});
    listener.builder()->RegisterService(this);
    server_ = *listener.Start();
    address_ = listener.address();
  }
  ~OddServer() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  grpc::Status Exchange(grpc::ServerContext*,
                        grpc::ServerReaderWriter<v1::ExchangeResponse, v1::ExchangeRequest>* stream) override {
    streams_.fetch_add(1);
    v1::ExchangeRequest request;
    while (stream->Read(&request)) {
      v1::ExchangeResponse response;
      response.set_sequence(request.sequence());
      if (answer_(request, &response) && !stream->Write(response)) break;
    }
    return grpc::Status::OK;
  }

  const std::string& address() const { return address_; }
  int streams() const { return streams_.load(); }

 private:
  const Answer answer_;
  std::atomic<int> streams_{0};
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// Fills what the request asks for, with zeros.
void AnswerPull(const v1::ExchangeRequest& request, v1::ExchangeResponse* response) {
  for (uint32_t chunk : request.pull()) {
    v1::ChunkData* data = response->add_weights();
    data->set_chunk(chunk);
    const uint32_t size = chunk == kChunks - 1 ? kElements - (kChunks - 1) * kChunkElements : kChunkElements;
    data->mutable_payload()->resize(size * sizeof(float));
  }
}

TEST_CASE("weights that were not asked for, or of another size, are refused as garbage") {
  std::vector<float> weights(kElements, -1);
  const auto pull_from = [&weights](const OddServer& server) {
    return MakeClient({server.address()})->Pull(weights, Soon());
  };
  OddServer empty([](const auto&, auto*) { return true; });
  REQUIRE_STATUS(pull_from(empty), absl::StatusCode::kDataLoss, "carries 0 chunks");
  OddServer shorter([](const auto& request, auto* response) {
    AnswerPull(request, response);
    response->mutable_weights(0)->mutable_payload()->resize(4);
    return true;
  });
  REQUIRE_STATUS(pull_from(shorter), absl::StatusCode::kDataLoss, "has 4 bytes instead of 16384");
  OddServer other([](const auto& request, auto* response) {
    AnswerPull(request, response);
    response->mutable_weights(0)->set_chunk(1'000'000);
    return true;
  });
  REQUIRE_STATUS(pull_from(other), absl::StatusCode::kDataLoss, other.address());
  OddServer encoded([](const auto& request, auto* response) {
    AnswerPull(request, response);
    response->mutable_weights(0)->set_encoding(static_cast<v1::Encoding>(77));
    return true;
  });
  REQUIRE_STATUS(pull_from(encoded), absl::StatusCode::kDataLoss, "encoding 77");
}

TEST_CASE("answers that nobody waits for are passed over") {
  OddServer server([](const v1::ExchangeRequest& request, v1::ExchangeResponse* response) {
    AnswerPull(request, response);
    // The first answer is to a sequence that was never sent; the client asks again after its patience.
    if (request.sequence() == 1) response->set_sequence(999);
    return true;
  });
  auto client = MakeClient({server.address()}, absl::Milliseconds(50));
  std::vector<float> weights(kElements, -1);
  REQUIRE_OK(client->Pull(weights, Soon()));
  REQUIRE(AllAre(weights, 0));
}

TEST_CASE("a server that is silent is asked again on a new stream") {
  std::atomic<int> requests{0};
  OddServer server([&requests](const v1::ExchangeRequest& request, v1::ExchangeResponse* response) {
    AnswerPull(request, response);
    return requests.fetch_add(1) > 0;
  });
  auto client = MakeClient({server.address()}, absl::Milliseconds(50));
  std::vector<float> weights(kElements, -1);
  REQUIRE_OK(client->Pull(weights, Soon()));
  REQUIRE(server.streams() >= 2);
}

TEST_CASE("a server that is too busy is asked again") {
  std::atomic<int> requests{0};
  OddServer server([&requests](const v1::ExchangeRequest& request, v1::ExchangeResponse* response) {
    AnswerPull(request, response);
    if (requests.fetch_add(1) < 3) {
      response->set_code(static_cast<int>(absl::StatusCode::kResourceExhausted));
      response->clear_weights();
    }
    return true;
  });
  std::vector<float> weights(kElements, -1);
  REQUIRE_OK(MakeClient({server.address()})->Pull(weights, Soon()));
  REQUIRE(AllAre(weights, 0));
}

TEST_CASE("in each encoding gradients and weights arrive next to what they were, and the same whoever sends them") {
  for (const v1::Encoding encoding : {v1::ENCODING_BFLOAT16, v1::ENCODING_FLOAT16, v1::ENCODING_INT8_BLOCKS}) {
    INFO(EncodingName(encoding));
    TempDir dir;
    v1::OpenJobRequest job = MakeJob(2);
    job.mutable_solver()->set_base_lr(1);
    ParameterServer first(dir.File("0"), job, 0);
    ParameterServer second(dir.File("1"), job, 1);
    const auto train = [&](uint64_t t, v1::Encoding sent) {
      ParameterClient::Options options{"job", kElements, kChunkElements, {first.address(), second.address()}};
      options.encoding = sent;
      options.seed = 3;
      const auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
      REQUIRE_OK(client);
      std::vector<float> weights(kElements, -1);
      REQUIRE_OK((*client)->Pull(weights, Soon()));
      const std::vector<float> gradients(kElements, 0.3f);
      (*client)->StartPush(t, 1, gradients, weights);
      (*client)->Ready(0, kElements);
      REQUIRE_OK((*client)->AwaitPush(Soon()));
      return weights;
    };
    const std::vector<float> rounded = train(0, encoding);
    for (const float weight : rounded) REQUIRE(std::abs(weight - 0.2f) < 0.02f);
    // On average nothing is lost, though no single value is exact.
    const double mean = std::accumulate(rounded.begin(), rounded.end(), 0.0) / kElements;
    CHECK(std::abs(mean - 0.2) < 2e-4);
    // A repeated push is dropped, and the same version of the weights is rounded alike for all.
    CHECK(train(0, encoding) == rounded);
  }
}

TEST_CASE("over several channels to each server every chunk goes and comes once") {
  TempDir dir;
  ParameterServer first(dir.File("0"), MakeJob(2), 0);
  ParameterServer second(dir.File("1"), MakeJob(2), 1);
  ParameterClient::Options options{"job", kElements, kChunkElements, {first.address(), second.address()}};
  // More streams than chunks for the last.
  for (const uint32_t channels : {2u, 3u, ParameterClient::kMaxChannels}) {
    options.channels = channels;
    const auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
    REQUIRE_OK(client);
    std::vector<float> weights(kElements, -1);
    const auto pushed = Push(client->get(), channels, 2, weights);
    REQUIRE_OK(pushed);
    REQUIRE(pushed->applied == kChunks);
    std::vector<float> pulled(kElements, -1);
    REQUIRE_OK((*client)->Pull(pulled, Soon()));
    REQUIRE(pulled == weights);
  }
  REQUIRE(first.Ledgers("job").counters().applied() + second.Ledgers("job").counters().applied() == 3 * kChunks);
}

TEST_CASE("more channels than there may be are refused") {
  ParameterClient::Options options{"job", kElements, kChunkElements, {"127.0.0.1:1"}};
  options.channels = ParameterClient::kMaxChannels + 1;
  REQUIRE_STATUS(ParameterClient::Create(options, Dialer(RpcOptions())), absl::StatusCode::kInvalidArgument,
                 "9 channels");
}

TEST_CASE("an encoding that there is not is refused") {
  ParameterClient::Options options{"job", kElements, kChunkElements, {"127.0.0.1:1"}};
  options.encoding = static_cast<v1::Encoding>(9);
  REQUIRE_STATUS(ParameterClient::Create(options, Dialer(RpcOptions())), absl::StatusCode::kInvalidArgument,
                 "encoding is 9");
}

TEST_CASE("a client without servers is refused") {
  ParameterClient::Options options;
  options.job_id = "job";
  options.elements = 10;
  options.chunk_elements = kChunkElements;
  REQUIRE_STATUS(ParameterClient::Create(options, Dialer(RpcOptions())), absl::StatusCode::kInvalidArgument, "server");
}

// Makes pulls wait for no longer than this before they have to ask again.
constexpr absl::Duration kShortHold = absl::Milliseconds(50);

TEST_CASE("a pull waits for other workers for longer than a server may be silent, and than the limit") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1), 0, 0, kShortHold);
  constexpr absl::Duration kPatience = absl::Milliseconds(400);
  auto waiting = MakeClient({server.address()}, /*answer_timeout=*/kPatience);
  auto pushing = MakeClient({server.address()});
  std::vector<float> weights(kElements);
  std::thread pusher([&] {
    Stopper().WaitFor(3 * kPatience);
    CHECK(Push(pushing.get(), 0, 1).ok());
  });
  const absl::Time begin = SteadyNow();
  const absl::Status pulled = waiting->Pull(weights, Within(kPatience), {true, 1});
  pusher.join();
  REQUIRE_OK(pulled);
  REQUIRE(SteadyNow() - begin >= 3 * kPatience);
  REQUIRE(AllAre(weights, kInitial - kRate));
}

TEST_CASE("a server that is silent is given no more time by another that says to wait, and is told from it") {
  TempDir dir;
  v1::OpenJobRequest job = MakeJob(2);
  ParameterServer waits(dir.File("0"), job, 0, 0, kShortHold);
  // Takes requests and never answers.
  OddServer silent([](const v1::ExchangeRequest&, v1::ExchangeResponse*) { return false; });
  auto client = MakeClient({waits.address(), silent.address()});
  std::vector<float> weights(kElements);
  std::vector<Waiting> told;
  WaitLimit limit = Within(2 * Waiting::kSilence);
  limit.told = [&told](const Waiting& waiting) { told.push_back(waiting); };
  REQUIRE_STATUS(client->Pull(weights, limit, {true, 1}), absl::StatusCode::kDeadlineExceeded, silent.address());
  REQUIRE(!told.empty());
  CHECK(told.front().silent.empty());
  REQUIRE(told.back().silent.size() == 1);
  CHECK(told.back().silent[0].address == silent.address());
  CHECK(told.back().silent[0].silent >= Waiting::kSilence);
  CHECK_FALSE(told.back().for_workers);
  CHECK_FALSE(told.back().pushed);
}

TEST_CASE("that all servers hold a push is told while its pull waits for other workers") {
  TempDir dir;
  v1::OpenJobRequest job = MakeJob(1);
  *job.mutable_consistency() = SyncIn(2);
  ParameterServer server(dir.File("0"), job, 0, 0, kShortHold);
  auto client = MakeClient({server.address()});
  std::vector<float> weights(kElements);
  const std::vector<float> gradients(kElements, 1.0f);
  Stopper stopper;
  WaitLimit limit{absl::InfiniteFuture(), &stopper};
  limit.told = [&stopper](const Waiting& waiting) {
    if (waiting.pushed && waiting.for_workers) stopper.Stop();
  };
  client->StartPush(0, 1, gradients, weights, {true, 1}, /*part=*/0);
  client->Ready(0, kElements);
  REQUIRE_STATUS(client->AwaitPush(limit), absl::StatusCode::kCancelled, "stopped");
}

TEST_CASE("a wait for other workers ends with its stopper") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1), 0, 0, kShortHold);
  auto client = MakeClient({server.address()});
  std::vector<float> weights(kElements);
  Stopper stopper;
  std::thread stops([&] {
    Stopper().WaitFor(absl::Milliseconds(200));
    stopper.Stop();
  });
  const absl::Status pulled = client->Pull(weights, WaitLimit{absl::InfiniteFuture(), &stopper}, {true, 1});
  stops.join();
  REQUIRE_STATUS(pulled, absl::StatusCode::kCancelled, "stopped");
}

// More requests than a client has under way at a time: none of the pushes may stand behind pulls that wait for the
// other's pushes.
TEST_CASE("two clients that wait for each other's parts both get on") {
  constexpr uint64_t kIterations = 3;
  TempDir dir;
  v1::OpenJobRequest job = MakeJob(1);
  constexpr uint64_t kLarge = 3 * ParameterClient::kMaxInFlight * ParameterClient::kRequestBytes / sizeof(float);
  job.set_chunk_elements(ParameterClient::kRequestBytes / sizeof(float));
  job.mutable_layout()->set_elements(kLarge);
  job.mutable_layout()->mutable_blobs(0)->set_shape(0, kLarge);
  *job.mutable_consistency() = SyncIn(2);
  // Nobody is told to ask again.
  ParameterServer server(dir.File("0"), job, 0, 0, absl::Hours(1));
  std::vector<std::vector<float>> weights(2, std::vector<float>(kLarge));
  // Asserted when the threads have ended: Catch's assertions are for one thread.
  std::vector<absl::Status> pushed(2);
  const auto work = [&](uint32_t part) {
    ParameterClient::Options options{"job", kLarge, job.chunk_elements(), {server.address()}};
    auto client = *ParameterClient::Create(options, Dialer(RpcOptions()));
    const std::vector<float> gradients(kLarge, part == 0 ? 1.0f : 3.0f);
    for (uint64_t t = 0; t < kIterations && pushed[part].ok(); ++t) {
      client->StartPush(t, 1, gradients, weights[part], {true, t + 1}, part);
      // In opposite orders, the worst that may happen.
      const uint64_t half = kLarge / 2;
      client->Ready(part == 0 ? 0 : half, part == 0 ? half : kLarge);
      client->Ready(part == 0 ? half : 0, part == 0 ? kLarge : half);
      pushed[part] = client->AwaitPush(Soon()).status();
    }
  };
  std::thread first(work, 0);
  std::thread second(work, 1);
  first.join();
  second.join();
  for (uint32_t part = 0; part < 2; ++part) {
    REQUIRE_OK(pushed[part]);
    REQUIRE(AllAre(weights[part], kInitial - 2 * kRate * kIterations));
  }
  REQUIRE(server.Ledgers("job").counters().duplicates() == 0);
}

TEST_CASE("clients that carry the squares of a clipped job come to the same norm, and to the same weights") {
  constexpr uint64_t kIterations = 5;
  TempDir dir;
  v1::OpenJobRequest job = MakeJob(2);
  *job.mutable_consistency() = SyncIn(2);
  // Half the norm of a gradient of ones.
  job.mutable_solver()->set_clip_gradients(std::sqrt(static_cast<float>(kElements)) / 2);
  ParameterServer one(dir.File("0"), job, 0);
  ParameterServer other(dir.File("1"), job, 1);
  std::vector<std::vector<float>> weights(2, std::vector<float>(kElements));
  std::vector<std::vector<double>> norms(2);
  std::vector<std::unique_ptr<ParameterClient>> clients;
  for (int part = 0; part < 2; ++part) clients.push_back(MakeClient({one.address(), other.address()}));
  // Asserted when the threads have ended: Catch's assertions are for one thread.
  std::vector<absl::Status> done(2);
  const auto step = [&](uint32_t part, uint64_t t, std::span<const float> gradients) -> absl::Status {
    ParameterClient& client = *clients[part];
    client.StartPush(t, 1, gradients, {}, {}, part);
    client.Ready(0, kElements);
    SAMOVAR_RETURN_IF_ERROR(client.AwaitPush(Soon()).status());
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<double> squares, client.PullSquares(t, Soon()));
    // The other may have got on meanwhile, and needs no norm then.
    norms[part].push_back(squares.empty() ? 0 : NormOf(squares));
    return client.ApplyAndPull(t, 1, norms[part].back(), weights[part], Soon());
  };
  const auto work = [&](uint32_t part) {
    const std::vector<float> gradients(kElements, part == 0 ? 0.5f : 1.5f);
    for (uint64_t t = 0; t < kIterations && done[part].ok(); ++t) done[part] = step(part, t, gradients);
  };
  std::thread first(work, 0);
  std::thread second(work, 1);
  first.join();
  second.join();
  for (uint32_t part = 0; part < 2; ++part) {
    REQUIRE_OK(done[part]);
    for (const double norm : norms[part]) REQUIRE((norm == std::sqrt(static_cast<double>(kElements)) || norm == 0));
    // The limit is a float.
    for (const float weight : weights[part])
      REQUIRE(weight == Approx(kInitial - 0.5f * kRate * kIterations).epsilon(1e-6));
  }
  REQUIRE(weights[0] == weights[1]);
}

}  // namespace
}  // namespace samovar
