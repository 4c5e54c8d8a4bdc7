#include "server/jobs/client_hold.h"

namespace samovar {

bool ClientHold::GivesUp(bool waits, absl::Time now) {
  if (!waits) {
    waits_since_.reset();
    return false;
  }
  if (!waits_since_.has_value()) waits_since_ = now;
  if (now - *waits_since_ < kPatience) return false;
  holds_ = false;
  return true;
}

}  // namespace samovar
