// WaitNote keeps what the work under way waits for, for the thread that reports it to the coordinator.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/parameters/wait_limit.h"
#include "samovar/v1/coordinator.pb.h"

namespace samovar {

class WaitNote {
 public:
  void Set(const Waiting& waiting);
  // It waits for nothing.
  void Clear() { Set(Waiting()); }
  // Whether some server is silent.
  bool HasSilentServer() const;
  // As WorkerWait has it, without the job.
  v1::WorkerWait Get() const;

 private:
  mutable absl::Mutex mu_;
  Waiting waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
