// Streams of workers while memory is refused at any one moment of their service, on all threads but the test's, and not
// inside gRPC.
#include <dlfcn.h>
#include <execinfo.h>

#include <cstdint>
#include <cstring>

#include "tests/server/store/refused_memory.h"
#include "tests/server/store/test_server.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

thread_local bool is_spared = false;

// Whether gRPC asks for the memory, which it cannot do without: its library is among the callers.
bool IsForGrpc() {
  void* callers[64];
  const int count = backtrace(callers, 64);
  for (int i = 0; i < count; ++i) {
    Dl_info found;
    if (dladdr(callers[i], &found) != 0 && std::strstr(found.dli_fname, "libgrpc") != nullptr) return true;
  }
  return false;
}

// The iteration, pushed on a stream of its own, and its weights pulled. OK: the answer says so.
absl::Status PushOnce(v1::ParameterService::Stub* stub, uint64_t iteration) {
  v1::ExchangeRequest request = MakePush(iteration, 1);
  request.set_sequence(1);
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk) request.add_pull(chunk);
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(30));
  context.set_wait_for_ready(true);
  const auto stream = stub->Exchange(&context);
  v1::ExchangeResponse response;
  const bool answered = stream->Write(request) && stream->Read(&response);
  stream->WritesDone();
  const absl::Status end = FromGrpcStatus(stream->Finish());
  if (!answered) return end.ok() ? absl::UnavailableError("the stream ended without an answer") : end;
  return absl::Status(static_cast<absl::StatusCode>(response.code()), response.message());
}

TEST_CASE("wherever memory is refused while a stream is served, it ends or answers, and others are served") {
  is_spared = true;
  counts_allocation = [] { return !is_spared && !IsForGrpc(); };
  const TempDir dir;
  TestServer server(dir.path());
  TestClient client(server);
  REQUIRE_OK(client.Open());
  const auto stub = v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(server.address()));
  uint64_t refused = 0;
  uint64_t ended = 0;
  // More than a stream needs.
  constexpr uint64_t kStreams = 300;
  for (uint64_t iteration = 0; iteration < kStreams; ++iteration) {
    until_refusal = static_cast<int64_t>(iteration);
    const absl::Status status = PushOnce(stub.get(), iteration);
    refused += until_refusal.exchange(-1) < 0;
    INFO("allocation " << iteration << ": " << status);
    if (!status.ok()) {
      ++ended;
      CHECK((absl::IsResourceExhausted(status) || absl::IsUnavailable(status)));
    }
    REQUIRE_OK(PushOnce(stub.get(), iteration));
  }
  CHECK(refused > 20);
  CHECK(ended > 5);
  // The stream that was open all the while is served, too.
  const v1::ExchangeResponse answer = client.AskOk(MakePush(kStreams, 1));
  CHECK(answer.applied() == kChunks);
  const auto ledgers = client.Ledgers();
  REQUIRE_OK(ledgers);
  for (const v1::ChunkLedger& chunk : ledgers->ledgers()) {
    CHECK(chunk.ledger().watermark() == kStreams + 1);
    CHECK(chunk.ledger().beyond().empty());
  }
  CHECK(ledgers->counters().applied() == (kStreams + 1) * kChunks);
}

}  // namespace
}  // namespace samovar
