// Requests to one parameter server, one after the other on a stream of their own.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "tests/support/catch.h"

namespace samovar {

inline std::vector<v1::ExchangeResponse> AskServerAll(const std::string& address,
                                                      const std::vector<v1::ExchangeRequest>& requests) {
  const auto stub = v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(address));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(60));
  context.set_wait_for_ready(true);
  const auto stream = stub->Exchange(&context);
  std::vector<v1::ExchangeResponse> responses(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    REQUIRE(stream->Write(requests[i]));
    REQUIRE(stream->Read(&responses[i]));
  }
  stream->WritesDone();
  stream->Finish();
  return responses;
}

inline v1::ExchangeResponse AskServer(const std::string& address, const v1::ExchangeRequest& request) {
  return AskServerAll(address, {request})[0];
}

// The coordinator of that epoch calls the server, as it does before it leases anything. There is nothing to thaw.
inline void CallAsCoordinator(const std::string& address, const std::string& job_id, uint64_t epoch) {
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(60));
  context.set_wait_for_ready(true);
  v1::ThawRequest thaw;
  thaw.set_job_id(job_id);
  thaw.set_epoch(epoch);
  thaw.set_iteration(UINT64_MAX);
  v1::ThawResponse thawed;
  v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(address))->Thaw(&context, thaw, &thawed);
}

// As AskServer, where success is expected. The coordinator of the request's epoch has called the server before, as it
// always has.
inline v1::ExchangeResponse AskServerOk(const std::string& address, const v1::ExchangeRequest& request) {
  CallAsCoordinator(address, request.job_id(), request.epoch());
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
