// One request to one parameter server, on a stream of its own.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/rpc/channel.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "tests/support/catch.h"

namespace samovar {

inline v1::ExchangeResponse AskServer(const std::string& address, const v1::ExchangeRequest& request) {
  const auto stub = v1::ParameterService::NewStub(MakeChannel(address));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(60));
  context.set_wait_for_ready(true);
  const auto stream = stub->Exchange(&context);
  v1::ExchangeResponse response;
  REQUIRE(stream->Write(request));
  REQUIRE(stream->Read(&response));
  stream->WritesDone();
  stream->Finish();
  return response;
}

// As AskServer, where success is expected.
inline v1::ExchangeResponse AskServerOk(const std::string& address, const v1::ExchangeRequest& request) {
  v1::ExchangeResponse response = AskServer(address, request);
  INFO(response.message());
  REQUIRE(response.code() == 0);
  return response;
}

inline absl::Status AskServerForError(const std::string& address, const v1::ExchangeRequest& request) {
  const v1::ExchangeResponse response = AskServer(address, request);
  return absl::Status(static_cast<absl::StatusCode>(response.code()), response.message());
}

}  // namespace samovar
