#include "common/remote/pieces.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/base/exceptions.h"

namespace samovar {

absl::Status ForEachPiece(uint64_t count, int threads, absl::FunctionRef<absl::Status(uint64_t)> work) {
  std::atomic<uint64_t> next = 0;
  absl::Mutex mu;
  absl::Status failure;
  const auto run = [&] {
    for (uint64_t index = next.fetch_add(1); index < count; index = next.fetch_add(1)) {
      const absl::Status done = CatchExceptions([&] { return work(index); });
      if (done.ok()) continue;
      next = count;
      absl::MutexLock lock(&mu);
      failure.Update(done);
      return;
    }
  };
  std::vector<std::thread> others;
  for (uint64_t i = 1; i < std::min(static_cast<uint64_t>(threads), count); ++i) others.emplace_back(run);
  run();
  for (std::thread& thread : others) thread.join();
  return failure;
}

}  // namespace samovar
