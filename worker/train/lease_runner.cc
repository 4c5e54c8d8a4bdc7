#include "worker/train/lease_runner.h"

#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "worker/train/fed_net.h"

namespace samovar {
namespace {

// Servers that do not answer for so long are reported: the coordinator knows more, and others may reach them. Longer than it
// takes the coordinator to give up a server.
constexpr absl::Duration kServersTimeout = absl::Seconds(60);

WaitLimit LimitFor(const HeldLease& held) { return {SteadyNow() + kServersTimeout, &held.ended}; }

v1::TrainResult ResultOf(const v1::WorkLease& lease, uint64_t iteration, const Net& net) {
  v1::TrainResult result;
  result.set_job_id(lease.job_id());
  result.set_lease_id(lease.lease_id());
  result.set_iteration(iteration);
  result.mutable_outputs()->Add(net.outputs().begin(), net.outputs().end());
  result.set_loss(net.loss());
  return result;
}

// Pulls first unless the net holds weights that came with the iteration before; with `pull_next` the next one's come.
absl::Status RunIteration(uint64_t t, const HeldLease& held, bool pull_first, bool pull_next, Assignment* assignment) {
  Net& net = assignment->net();
  ParameterClient& parameters = assignment->parameters();
  SAMOVAR_RETURN_IF_ERROR(assignment->batches().Take(t, /*part=*/0, TopsOf(net, assignment->spec().train_data())));
  if (pull_next) assignment->batches().Start(t + 1, /*part=*/0);
  if (pull_first) SAMOVAR_RETURN_IF_ERROR(parameters.Pull(net.weights(), LimitFor(held)));
  SAMOVAR_RETURN_IF_ERROR(net.Forward(t, assignment->spec().seed()));

  // A layer's weights are read for the last time before its gradients are ready, so that new ones may replace them at once.
  parameters.StartPush(t, held.lease.epoch(), net.gradients(), pull_next ? net.weights() : std::span<float>());
  const absl::Status backward =
      net.Backward([&parameters](uint64_t begin, uint64_t end) { parameters.Ready(begin, end); });
  if (!backward.ok()) {
    parameters.AbandonPush();
    return backward;
  }
  return parameters.AwaitPush(LimitFor(held)).status();
}

absl::Status RunTraining(const HeldLease& held, Assignment* assignment, Outbox* outbox) {
  const v1::IterationRange& range = held.lease.train();
  // The same name may stand for another copy by the next test, in another run of the job.
  assignment->ForgetFrozen();
  for (uint64_t t = range.begin(); t < range.end(); ++t) {
    if (held.ended.stopped()) return absl::CancelledError("the lease has ended");
    const absl::Status done =
        RunIteration(t, held, /*pull_first=*/t == range.begin(), /*pull_next=*/t + 1 < range.end(), assignment);
    if (!done.ok()) return Annotate(done, absl::StrCat("iteration ", t));
    outbox->Add(ResultOf(held.lease, t, assignment->net()));
  }
  return absl::OkStatus();
}

absl::Status RunTest(const HeldLease& held, Assignment* assignment, Outbox* outbox) {
  const v1::TestSlice& slice = held.lease.test();
  SAMOVAR_ASSIGN_OR_RETURN(Evaluator * evaluator,
                           assignment->TestNet(slice.net(), slice.frozen_iteration(), LimitFor(held)));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<double> sums,
                           evaluator->Sums(slice.begin(), slice.end(), slice.frozen_iteration(), held.ended));
  v1::TestResult result;
  result.set_job_id(held.lease.job_id());
  result.set_lease_id(held.lease.lease_id());
  result.set_frozen_iteration(slice.frozen_iteration());
  result.set_net(slice.net());
  result.set_begin(slice.begin());
  result.set_end(slice.end());
  result.mutable_sums()->Add(sums.begin(), sums.end());
  outbox->Add(std::move(result));
  return absl::OkStatus();
}

}  // namespace

absl::Status RunLease(const HeldLease& held, Assignment* assignment, Outbox* outbox) {
  const v1::WorkLease& lease = held.lease;
  const bool empty = lease.has_train() ? lease.train().begin() >= lease.train().end() : lease.test().begin() >= lease.test().end();
  if (empty) return absl::InvalidArgumentError("the lease has no work in it that this version knows");
  if (lease.has_train()) return RunTraining(held, assignment, outbox);
  const absl::Status tested = RunTest(held, assignment, outbox);
  return Annotate(tested, absl::StrCat("test at iteration ", lease.test().frozen_iteration()));
}

}  // namespace samovar
