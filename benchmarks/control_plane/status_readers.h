// Those who look at a cluster's status while a benchmark goes on: streams of WatchStatus, and one client that asks with
// GetStatus ten times a second.
//
// Thread safety: one thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/stopper.h"
#include "samovar/v1/status.grpc.pb.h"

namespace samovar {

class StatusReaders {
 public:
  struct Figures {
    // A watcher gets so many messages and bytes a second, as a mean over all watchers.
    double messages_per_second = 0;
    double bytes_per_second = 0;
    // A whole status has so many bytes, and GetStatus takes so long.
    uint64_t status_bytes = 0;
    double median_ms = 0;
    double p99_ms = 0;
  };

  // Begins to read.
  StatusReaders(const std::string& coordinator, int watchers);
  ~StatusReaders() { Stop(); }
  // Ends, and returns what was seen.
  Figures Stop();

 private:
  struct Watcher {
    grpc::ClientContext context;
    uint64_t messages = 0;
    uint64_t bytes = 0;
    std::thread thread;
  };

  void Watch(Watcher* watcher);
  void Ask();

  const std::shared_ptr<grpc::Channel> channel_;
  const absl::Time begun_;
  Stopper stopper_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  // Written by asker_ alone, read when it has ended.
  std::vector<double> seconds_;
  uint64_t status_bytes_ = 0;
  std::thread asker_;
};

}  // namespace samovar
