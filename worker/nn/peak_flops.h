// Measures the peak speed of this machine's arithmetic: the yardstick for the layers' speed.
#pragma once

#include "common/base/thread_pool.h"
#include "worker/nn/engine.h"

namespace samovar {

// Multiplications and additions a second, counted apart, that fused multiply-adds on registers reach at the
// instruction-set level that this was compiled for: the best of a few tries, about 0.1 s in all. On all threads of the
// pool; null: on the caller's.
SAMOVAR_ENGINE_API double MeasurePeakFlops(ThreadPool* pool);

}  // namespace samovar
