#include "worker/train/wait_note.h"

namespace samovar {

void WaitNote::Set(const Waiting& waiting) {
  absl::MutexLock lock(&mu_);
  waiting_ = waiting;
}

bool WaitNote::HasSilentServer() const {
  absl::MutexLock lock(&mu_);
  return !waiting_.silent.empty();
}

v1::WorkerWait WaitNote::Get() const {
  absl::MutexLock lock(&mu_);
  v1::WorkerWait wait;
  wait.set_for_workers(waiting_.for_workers);
  for (const SilentServer& server : waiting_.silent) {
    v1::SilentServer* silent = wait.add_silent();
    silent->set_address(server.address);
    silent->set_silent_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(server.silent)));
  }
  return wait;
}

}  // namespace samovar
