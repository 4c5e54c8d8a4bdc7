// The servers and chunks that a job runs on, fixed when it starts and when it is recovered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/model/ledger.h"

namespace samovar {

struct JobPlan {
  uint64_t epoch = 0;
  uint32_t chunk_elements = 0;
  std::vector<std::string> servers;
  // The servers', as they registered.
  std::vector<uint64_t> incarnations;
  // As in OpenJobRequest.
  uint64_t opening = 0;
  // Iterations that all chunks hold already.
  Ledger done;
  uint64_t resumed_from = 0;
};

}  // namespace samovar
