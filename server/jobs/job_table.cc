#include "server/jobs/job_table.h"

#include "absl/strings/str_cat.h"

namespace samovar {

absl::Status TakenBy(uint64_t newer_epoch, uint64_t epoch) {
  return absl::FailedPreconditionError(absl::StrCat("the coordinator of epoch ", newer_epoch,
                                                    " has taken the jobs, and this one is of epoch ", epoch,
                                                    "; end one of the two"));
}

}  // namespace samovar
