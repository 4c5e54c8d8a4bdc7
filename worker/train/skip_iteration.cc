#include "worker/train/skip_iteration.h"

#include "absl/strings/str_cat.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "samovar/v1/parameter.grpc.pb.h"

namespace samovar {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(3);
constexpr absl::Duration kFirstRest = absl::Milliseconds(20);
constexpr absl::Duration kLongestRest = absl::Seconds(1);

absl::Status SkipAt(v1::ParameterService::Stub* stub, const v1::SkipRequest& request) {
  grpc::ClientContext context;
  SetDeadline(&context, kDeadline);
  v1::SkipResponse response;
  return FromGrpcStatus(stub->Skip(&context, request, &response));
}

}  // namespace

absl::Status SkipIteration(std::span<const std::string> servers, const v1::SkipRequest& request, const WaitLimit& limit) {
  const Stopper never;
  const Stopper& stopper = limit.stopper != nullptr ? *limit.stopper : never;
  for (const std::string& server : servers) {
    const auto stub = v1::ParameterService::NewStub(MakeChannel(server));
    Backoff backoff(kFirstRest, kLongestRest, request.iteration());
    for (absl::Status status = SkipAt(stub.get(), request); !status.ok(); status = SkipAt(stub.get(), request)) {
      status = Annotate(status, absl::StrCat("server ", server));
      if (!IsTransient(status)) return status;
      if (SteadyNow() > limit.deadline) return absl::DeadlineExceededError(status.message());
      if (stopper.WaitFor(backoff.Next())) return absl::CancelledError("the lease has ended");
    }
  }
  return absl::OkStatus();
}

}  // namespace samovar
