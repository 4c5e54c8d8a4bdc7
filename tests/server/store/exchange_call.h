// Calls of the store as messages, without a network.
#pragma once

#include <memory>
#include <string>

#include "server/store/chunk_store.h"
#include "tests/support/byte_buffers.h"
#include "tests/support/status_matchers.h"

namespace samovar {

inline std::shared_ptr<ExchangeCall> MakeCall(const v1::ExchangeRequest& request) {
  const std::string bytes = request.SerializeAsString();
  grpc::ByteBuffer buffer = BufferOf(bytes, bytes.size() + 1);
  auto call = std::make_shared<ExchangeCall>();
  REQUIRE_OK(call->request.Parse(&buffer));
  return call;
}

inline v1::ExchangeResponse ResponseOf(const ExchangeCall& call) {
  v1::ExchangeResponse response;
  REQUIRE(response.ParseFromString(BytesOf(EncodeExchangeResponse(call.response, call.weights))));
  return response;
}

}  // namespace samovar
