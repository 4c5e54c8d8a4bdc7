// Bounds of the memory that clients can make a server hold: streams, and messages that are on their way.
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/parameters/exchange_format.h"
#include "common/rpc/credentials.h"
#include "tests/server/store/test_server.h"
#include "tests/support/byte_buffers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr uint64_t kModelBytes = kElements * sizeof(float);

// The answer to a new stream's first pull, or the status that the stream ends with.
absl::Status PullAnew(const TestServer& server) {
  TestClient client(server);
  v1::ExchangeResponse response;
  if (client.Send(MakePull()) && client.Receive(&response)) {
    return absl::Status(static_cast<absl::StatusCode>(response.code()), response.message());
  }
  return client.Finish();
}

// The same, again and again until it is of that code, or for a minute.
absl::Status PullUntil(const TestServer& server, absl::StatusCode code) {
  const absl::Time deadline = SteadyNow() + absl::Minutes(1);
  absl::Status status = PullAnew(server);
  while (status.code() != code && SteadyNow() < deadline) status = PullAnew(server);
  return status;
}

TEST_CASE("streams beyond a host's bound, or the server's, are refused with the bound, and one that ends makes room") {
  const TempDir directory;
  std::string expected;
  const auto bound = [&](ParameterService::Options* options) {
    SECTION("of a host") {
      options->max_streams_a_host = 2;
      expected = "2 streams of host ipv4:127.0.0.1 are open";
    }
    SECTION("of the server") {
      options->max_streams = 2;
      expected = "2 streams are open on this server";
    }
  };
  TestServer server(directory.path(), bound);
  TestClient first(server);
  REQUIRE_OK(first.Open());
  first.AskOk(MakePull());
  {
    TestClient second(server);
    second.AskOk(MakePull());
    REQUIRE_STATUS(PullAnew(server), absl::StatusCode::kResourceExhausted, expected);
  }
  REQUIRE_OK(PullUntil(server, absl::StatusCode::kOk));
  first.AskOk(MakePull());
}

// A client that asks for many models and reads none unless it is told to. What comes unread is held back by HTTP/2's
// smallest window, which does not grow here.
class UnreadStream {
 public:
  explicit UnreadStream(const TestServer& server) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 16);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::ParameterService::NewStub(
        grpc::CreateCustomChannel(server.address(), DialerCredentials(RpcOptions()), arguments));
    context_.set_wait_for_ready(true);
    stream_ = stub_->Exchange(&context_);
    for (int i = 0; i < kPulls; ++i) REQUIRE(stream_->Write(MakePull()));
  }
  ~UnreadStream() {
    context_.TryCancel();
    if (!finished_) stream_->Finish();
  }

  // Waits until HTTP/2's window has room for one more; false: the server has ended the stream.
  bool Ask() { return stream_->Write(MakePull()); }
  bool Read(v1::ExchangeResponse* response) { return stream_->Read(response); }
  absl::Status Finish() {
    finished_ = true;
    return FromGrpcStatus(stream_->Finish());
  }

  static constexpr int kPulls = 64;

 private:
  std::unique_ptr<v1::ParameterService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ExchangeRequest, v1::ExchangeResponse>> stream_;
  bool finished_ = false;
};

TEST_CASE(
    "answers that clients do not read are bounded in total, and others are refused with the bound until they are") {
  const TempDir directory;
  TestServer server(directory.path(),
                    [](ParameterService::Options* options) { options->max_message_bytes = 8 * kModelBytes; });
  REQUIRE_OK(TestClient(server).Open());
  UnreadStream slow(server);
  REQUIRE_STATUS(PullUntil(server, absl::StatusCode::kResourceExhausted), absl::StatusCode::kResourceExhausted,
                 absl::StrCat("of this server's ", 8 * kModelBytes, " bytes for messages are in use; try again later"));
  int refused = 0;
  for (int i = 0; i < UnreadStream::kPulls; ++i) {
    v1::ExchangeResponse response;
    REQUIRE(slow.Read(&response));
    refused += response.code() != 0;
  }
  CHECK(refused < UnreadStream::kPulls);
  REQUIRE_OK(PullUntil(server, absl::StatusCode::kOk));
}

TEST_CASE("a stream whose client does not read is ended after a while, and its memory is free") {
  const TempDir directory;
  TestServer server(directory.path(), [](ParameterService::Options* options) {
    options->max_message_bytes = 8 * kModelBytes;
    options->write_patience = absl::Seconds(5);
  });
  REQUIRE_OK(TestClient(server).Open());
  UnreadStream silent(server);
  REQUIRE(PullUntil(server, absl::StatusCode::kResourceExhausted).code() == absl::StatusCode::kResourceExhausted);
  // The server takes no more requests, and then ends the stream.
  while (silent.Ask()) {
  }
  // Nobody has read what was in the way.
  REQUIRE_OK(PullUntil(server, absl::StatusCode::kOk));
  v1::ExchangeResponse response;
  while (silent.Read(&response)) {
  }
  CHECK(silent.Finish().code() == absl::StatusCode::kCancelled);
}

TEST_CASE("a request that is larger than all that are worked on may be is refused, and its stream goes on") {
  const TempDir directory;
  TestServer server(directory.path(),
                    [](ParameterService::Options* options) { options->max_message_bytes = kModelBytes + 1000; });
  TestClient client(server);
  REQUIRE_OK(client.Open());
  v1::ExchangeRequest both = MakePush(0, 1);
  *both.mutable_pull() = MakePull().pull();
  REQUIRE_STATUS(client.AskForError(both), absl::StatusCode::kResourceExhausted, "bytes for messages");
  client.AskOk(MakePush(0, 1));
}

TEST_CASE("a request that has more beside its gradients than any needs is no request") {
  v1::ExchangeRequest request;
  SECTION("many pushes") {
    for (int i = 0; i < 70'000; ++i) request.add_push();
  }
  SECTION("many pulls") {
    for (uint32_t i = 0; i < 1 << 20; ++i) request.add_pull(1 << 20);
  }
  const std::string bytes = request.SerializeAsString();
  grpc::ByteBuffer buffer = BufferOf(bytes, 1 << 16);
  ReceivedRequest received;
  REQUIRE_STATUS(received.Parse(&buffer), absl::StatusCode::kInvalidArgument, "the request has more than");
}

}  // namespace
}  // namespace samovar
