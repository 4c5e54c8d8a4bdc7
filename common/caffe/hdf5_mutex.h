// The HDF5 library keeps its state for the whole process, and may have been built for one thread.
#pragma once

#include "absl/synchronization/mutex.h"

namespace samovar {

// Held during every call of the library, by any thread. A leaf: nothing else is locked while it is held.
inline absl::Mutex& Hdf5Mutex() {
  static absl::Mutex* const mutex = new absl::Mutex;
  return *mutex;
}

}  // namespace samovar
