#include "worker/train/skip_iteration.h"

#include "absl/strings/str_cat.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/status.h"
#include "samovar/v1/parameter.grpc.pb.h"

namespace samovar {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(3);
constexpr absl::Duration kFirstRest = absl::Milliseconds(20);
constexpr absl::Duration kLongestRest = absl::Seconds(1);

absl::StatusOr<v1::SkipResponse> SkipAt(v1::ParameterService::Stub* stub, const v1::SkipRequest& request) {
  grpc::ClientContext context;
  SetDeadline(&context, kDeadline);
  v1::SkipResponse response;
  SAMOVAR_RETURN_IF_ERROR(FromGrpcStatus(stub->Skip(&context, request, &response)));
  return response;
}

}  // namespace

absl::StatusOr<SkippedChunks> SkipIteration(std::span<const std::string> servers, const Dialer& dialer,
                                            const v1::SkipRequest& request, const WaitLimit& limit) {
  const Stopper never;
  const Stopper& stopper = limit.stopper != nullptr ? *limit.stopper : never;
  SkippedChunks chunks;
  for (const std::string& server : servers) {
    const auto stub = v1::ParameterService::NewStub(dialer.Dial(server));
    Backoff backoff(kFirstRest, kLongestRest, request.iteration());
    absl::StatusOr<v1::SkipResponse> response = SkipAt(stub.get(), request);
    for (; !response.ok(); response = SkipAt(stub.get(), request)) {
      const absl::Status status = Annotate(response.status(), absl::StrCat("server ", server));
      if (!IsTransient(status)) return status;
      if (SteadyNow() > limit.deadline) return absl::DeadlineExceededError(status.message());
      if (stopper.WaitFor(backoff.Next())) return absl::CancelledError("the lease has ended");
    }
    chunks.skipped += response->skipped();
    chunks.updated += response->duplicates();
  }
  return chunks;
}

}  // namespace samovar
