#include "server/store/exchange_stream.h"

#include <grpcpp/generic/generic_stub.h>

#include <string>

#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "tests/server/store/test_server.h"
#include "tests/support/byte_buffers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// The status that ends a stream on which these bytes come as a message.
grpc::Status EndOfStream(const std::string& address, const std::string& bytes) {
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(Dialer(RpcOptions()).Dial(address));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(30));
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    REQUIRE(queue.Next(&tag, &ok));
    return ok;
  };
  int tag = 0;
  const auto call = stub.PrepareCall(&context, "/samovar.v1.ParameterService/Exchange", &queue);
  call->StartCall(&tag);
  REQUIRE(next());
  call->Write(BufferOf(bytes, 100), &tag);
  REQUIRE(next());
  grpc::ByteBuffer answer;
  call->Read(&answer, &tag);
  REQUIRE_FALSE(next());
  grpc::Status status;
  call->Finish(&status, &tag);
  REQUIRE(next());
  queue.Shutdown();
  return status;
}

TEST_CASE("a message that is no request ends its stream, and nobody else's") {
  const TempDir directory;
  TestServer server(directory.path());
  TestClient client(server);
  REQUIRE_OK(client.Open());
  for (const std::string& bytes : {std::string("\x2a\x05"
                                               "abc"),
                                   std::string(300, '\xff'), MakePush(0, 1).SerializeAsString().substr(0, 700)}) {
    const grpc::Status status = EndOfStream(server.address(), bytes);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(status.error_message() == "the request is not an ExchangeRequest");
  }
  REQUIRE(client.AskOk(MakePush(0, 1)).applied() == kChunks);
}

}  // namespace
}  // namespace samovar
