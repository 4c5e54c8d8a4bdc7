// CoordinatorChannel is a process's connection to its cluster's coordinator: at an address that was given, or wherever
// the cluster's home says that the coordinator is now. After a call that found nobody there, the home is asked again.
//
//   const std::shared_ptr<grpc::Channel> channel = *coordinator.Get();
//   const grpc::Status status = v1::JobService::NewStub(channel)->Get(...);
//   coordinator.Note(FromGrpcStatus(status));
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/home/cluster_home.h"
#include "common/rpc/dialer.h"
#include "common/storage/storage_table.h"

namespace samovar {

class CoordinatorChannel {
 public:
  // `place`: "host:port", or a home. Does no I/O.
  CoordinatorChannel(const std::string& place, const Dialer& dialer, const StorageTable& storage);

  // A connection that there is.
  explicit CoordinatorChannel(std::shared_ptr<grpc::Channel> channel);

  // Connects with the first call. Does I/O if the home has to be asked. Errors as ClusterHome::Find's.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Get() ABSL_LOCKS_EXCLUDED(mu_);
  // How a call on the channel has ended.
  void Note(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  // The coordinator's address that is known; before the first Get of a home's, the home.
  std::string address() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Unset: there is one connection for good.
  const std::optional<Dialer> dialer_;
  const std::string place_;
  // Unset: the place is an address.
  const std::optional<ClusterHome> home_;
  mutable absl::Mutex mu_;
  std::string address_ ABSL_GUARDED_BY(mu_);
  // Null before the first Get.
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mu_);
  // Nobody has answered there.
  bool in_doubt_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace samovar
