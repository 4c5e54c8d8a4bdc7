// Calls of the store as messages, without a network.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/store/chunk_store.h"
#include "tests/support/status_matchers.h"

namespace samovar {

inline std::shared_ptr<ExchangeCall> MakeCall(const v1::ExchangeRequest& request) {
  const grpc::Slice bytes(request.SerializeAsString());
  grpc::ByteBuffer buffer(&bytes, 1);
  auto call = std::make_shared<ExchangeCall>();
  REQUIRE_OK(call->request.Parse(&buffer));
  return call;
}

inline v1::ExchangeResponse ResponseOf(const ExchangeCall& call) {
  std::vector<grpc::Slice> slices;
  REQUIRE(EncodeResponse(call.response, call.weights).Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  v1::ExchangeResponse response;
  REQUIRE(response.ParseFromString(bytes));
  return response;
}

}  // namespace samovar
