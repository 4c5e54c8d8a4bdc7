#include "common/base/process_tuning.h"

#include <malloc.h>

#include "absl/synchronization/mutex.h"

namespace samovar {

void TuneProcess() {
  // glibc caps the first at 32 MiB on 64-bit machines; larger blocks still come from mmap.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
}

}  // namespace samovar
