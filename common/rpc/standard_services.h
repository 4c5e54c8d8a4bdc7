// gRPC's own services, which its tools and others' monitors call: grpc.health.v1.Health and server reflection.
#pragma once

#include <grpcpp/grpcpp.h>

#include <initializer_list>

namespace samovar {

// Servers that are built from now on in this process have both. Once before the first is built.
void AddStandardServices();

// Sets what Health answers for these services, and for the whole server (""): SERVING or NOT_SERVING. A name that was
// never set is unknown to it.
void SetServing(grpc::Server* server, std::initializer_list<const char*> services, bool serving);

}  // namespace samovar
