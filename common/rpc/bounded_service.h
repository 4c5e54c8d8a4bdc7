// BoundedService serves methods of generated services as gRPC sees them, and lets no request be parsed before a
// RequestGate has let it in. An exception of a handler ends its call, with an error, and nothing else.
//
//   BoundedService bounded(&gate);
//   bounded.Add("/samovar.v1.JobService/Get", &jobs, &JobService::Get);
//   builder.RegisterService(&bounded);
//
// The generated service, `jobs` here, is not registered itself.
// Thread safety: methods are added on one thread, before the server is built; calls run concurrently.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/method_handler.h>

#include "absl/functional/function_ref.h"
#include "common/rpc/request_gate.h"

namespace samovar {

class BoundedService : public grpc::Service {
 public:
  // The gate outlives this.
  explicit BoundedService(RequestGate* gate) : gate_(*gate) {}

  // A unary method. `name` is "/package.Service/Method", of static lifetime; the implementation outlives this.
  template <typename Service, typename Implementation, typename Request, typename Response>
  void Add(const char* name, Implementation* implementation,
           grpc::Status (Service::*method)(grpc::ServerContext*, const Request*, Response*)) {
    using Handler = grpc::internal::RpcMethodHandler<BoundedService, grpc::ByteBuffer, grpc::ByteBuffer>;
    const auto serve = [implementation, method](BoundedService* self, grpc::ServerContext* context,
                                                const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) {
      return self->Serve(*bytes, [&] {
        Request request;
        Response response;
        grpc::Status status = Parse(*bytes, &request);
        if (status.ok()) status = (implementation->*method)(context, &request, &response);
        bool own = false;
        if (status.ok()) status = grpc::SerializationTraits<Response>::Serialize(response, answer, &own);
        return status;
      });
    };
    AddMethod(
        new grpc::internal::RpcServiceMethod(name, grpc::internal::RpcMethod::NORMAL_RPC, new Handler(serve, this)));
  }

  // A method that answers with a stream. It is inside the gate while its request is parsed only: watchers are few, and
  // stay for long.
  template <typename Service, typename Implementation, typename Request, typename Response>
  void Add(const char* name, Implementation* implementation,
           grpc::Status (Service::*method)(grpc::ServerContext*, const Request*, grpc::ServerWriter<Response>*)) {
    using Handler = grpc::internal::ServerStreamingHandler<BoundedService, grpc::ByteBuffer, Response>;
    const auto serve = [implementation, method](BoundedService* self, grpc::ServerContext* context,
                                                const grpc::ByteBuffer* bytes, grpc::ServerWriter<Response>* writer) {
      Request request;
      const grpc::Status parsed = self->Serve(*bytes, [&] { return Parse(*bytes, &request); });
      if (!parsed.ok()) return parsed;
      return Caught([&] { return (implementation->*method)(context, &request, writer); });
    };
    AddMethod(new grpc::internal::RpcServiceMethod(name, grpc::internal::RpcMethod::SERVER_STREAMING,
                                                   new Handler(serve, this)));
  }

 private:
  template <typename Request>
  static grpc::Status Parse(const grpc::ByteBuffer& bytes, Request* request) {
    // Shares the bytes.
    grpc::ByteBuffer buffer(bytes);
    if (grpc::SerializationTraits<Request>::Deserialize(&buffer, request).ok()) return grpc::Status::OK;
    return NotParsed(Request::descriptor()->name());
  }
  static grpc::Status NotParsed(const std::string& type);
  static grpc::Status Caught(absl::FunctionRef<grpc::Status()> call);
  // Calls it inside the gate.
  grpc::Status Serve(const grpc::ByteBuffer& bytes, absl::FunctionRef<grpc::Status()> call);

  RequestGate& gate_;
};

}  // namespace samovar
