// WriteDeadlines ends calls whose clients do not read: an answer for such a client stays in memory, and a thread may
// wait for it.
//
//   const WriteDeadlines::Write write(&deadlines, &context, message.size());
//   writer->Write(message);
//
// Thread safety: all methods may be called from any thread. Lock order: mu_ is a leaf lock.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"

namespace samovar {

class WriteDeadlines {
 public:
  // Bytes that the slowest reader reads in a second which is waited for.
  static constexpr uint64_t kBytesPerSecond = 256 << 10;
  static constexpr absl::Duration kPatience = absl::Seconds(30);

  // A write may take that long, and a second more for each kBytesPerSecond.
  explicit WriteDeadlines(absl::Duration patience = kPatience);
  ~WriteDeadlines();
  WriteDeadlines(const WriteDeadlines&) = delete;
  WriteDeadlines& operator=(const WriteDeadlines&) = delete;

  // A write of so many bytes begins. If it has not ended in time its call is cancelled, and the log says so. Returns
  // its number for End, which must come before the context ends.
  uint64_t Begin(grpc::ServerContext* context, uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void End(uint64_t write) ABSL_LOCKS_EXCLUDED(mu_);

  // A write that ends with its scope.
  class Write {
   public:
    Write(WriteDeadlines* deadlines, grpc::ServerContext* context, uint64_t bytes)
        : deadlines_(*deadlines), number_(deadlines_.Begin(context, bytes)) {}
    ~Write() { deadlines_.End(number_); }
    Write(const Write&) = delete;
    Write& operator=(const Write&) = delete;

   private:
    WriteDeadlines& deadlines_;
    const uint64_t number_;
  };

 private:
  struct Pending {
    grpc::ServerContext* context = nullptr;
    absl::Time deadline;
    uint64_t bytes = 0;
  };

  void Watch();
  // Ends the calls whose writes are overdue.
  void EndOverdue();

  const absl::Duration patience_;
  Stopper stopper_;
  absl::Mutex mu_;
  std::map<uint64_t, Pending> pending_ ABSL_GUARDED_BY(mu_);
  uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;
  std::thread watcher_;
};

}  // namespace samovar
