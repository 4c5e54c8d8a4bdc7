#include "common/rpc/request_gate.h"

#include "absl/strings/str_cat.h"

namespace samovar {

absl::StatusOr<RequestGate::Pass> RequestGate::Enter(uint64_t bytes) {
  const absl::Status admitted = Admit(bytes);
  if (admitted.ok()) return Pass(this, bytes);
  if (refused_ != nullptr) refused_->Increment();
  return admitted;
}

absl::Status RequestGate::Admit(uint64_t bytes) {
  if (bytes > options_.max_request_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the request has ", bytes, " bytes; one may have at most ", options_.max_request_bytes));
  }
  absl::MutexLock lock(&mu_);
  if (requests_ >= options_.max_requests) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this server works on ", options_.max_requests, " requests already; try again later"));
  }
  if (bytes > options_.max_total_bytes - bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the request has ", bytes, " bytes, and the requests that this server works on have ", bytes_,
                     " of at most ", options_.max_total_bytes, " already; try again later"));
  }
  ++requests_;
  bytes_ += bytes;
  return absl::OkStatus();
}

void RequestGate::Leave(uint64_t bytes) {
  absl::MutexLock lock(&mu_);
  --requests_;
  bytes_ -= bytes;
}

}  // namespace samovar
