// Renews leases as a worker does that holds them all.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "server/leases/train_leases.h"

namespace samovar {

inline void RenewAll(TrainLeases* leases, uint64_t worker, absl::Time now) {
  for (const TrainLeases::Lease& lease : leases->LeasesOf(worker)) leases->Renew(worker, lease.id, now);
}

}  // namespace samovar
