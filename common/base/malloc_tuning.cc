#include "common/base/malloc_tuning.h"

#include <malloc.h>

namespace samovar {

void TuneMalloc() {
  // glibc caps the first at 32 MiB on 64-bit machines; larger blocks still come from mmap.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

}  // namespace samovar
