#include "worker/train/lease_runner.h"

#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "worker/train/fed_net.h"
#include "worker/train/gradient_sum.h"

namespace samovar {
namespace {

// Servers that do not answer for so long are reported: the coordinator knows more, and others may reach them. Longer than it
// takes the coordinator to give up a server.
constexpr absl::Duration kServersTimeout = absl::Seconds(60);

WaitLimit LimitFor(const HeldLease& held) { return {SteadyNow() + kServersTimeout, &held.ended}; }

// Adds what a pass reports to the means over an iteration's passes.
void AddResults(const Net& net, uint32_t passes, v1::TrainResult* result) {
  const std::span<const float> outputs = net.outputs();
  if (result->outputs().empty()) result->mutable_outputs()->Resize(static_cast<int>(outputs.size()), 0);
  const float share = 1.0f / static_cast<float>(passes);
  for (size_t i = 0; i < outputs.size(); ++i) result->mutable_outputs()->at(static_cast<int>(i)) += share * outputs[i];
  result->set_loss(result->loss() + share * net.loss());
}

// One iteration. Its lease has others after it if `more`: their first batch and weights are fetched early.
struct Iteration {
  uint64_t t = 0;
  bool more = false;
  const HeldLease& held;
};

// The forward pass of one part of the iteration.
absl::Status RunForward(const Iteration& iteration, uint32_t part, Assignment* assignment, v1::TrainResult* result) {
  Net& net = assignment->net();
  BatchPrefetcher& batches = assignment->batches();
  SAMOVAR_RETURN_IF_ERROR(batches.Take(iteration.t, part, TopsOf(net, assignment->spec().train_data())));
  const bool last = part + 1 == assignment->parts();
  if (!last) {
    batches.Start(iteration.t, part + 1);
  } else if (iteration.more) {
    batches.Start(iteration.t + 1, 0);
  }
  const uint64_t first_record = uint64_t{part} * static_cast<uint64_t>(net.batch_size());
  SAMOVAR_RETURN_IF_ERROR(net.Forward(iteration.t, assignment->spec().seed(), first_record));
  AddResults(net, assignment->parts(), result);
  return absl::OkStatus();
}

// Pushes each layer's gradients while those of the layers below are computed.
absl::Status RunAndPushByLayer(const Iteration& iteration, Assignment* assignment, v1::TrainResult* result) {
  Net& net = assignment->net();
  ParameterClient& parameters = assignment->parameters();
  SAMOVAR_RETURN_IF_ERROR(RunForward(iteration, /*part=*/0, assignment, result));
  // A layer's weights are read for the last time before its gradients are ready, so that new ones may replace them at once.
  parameters.StartPush(iteration.t, iteration.held.lease.epoch(), net.gradients(),
                       iteration.more ? net.weights() : std::span<float>());
  const absl::Status backward =
      net.Backward([&parameters](uint64_t begin, uint64_t end) { parameters.Ready(begin, end); });
  if (!backward.ok()) parameters.AbandonPush();
  return backward;
}

// Of a solver with iter_size or clip_gradients no gradient is final before all are there.
absl::Status RunAndPushWhole(const Iteration& iteration, Assignment* assignment, v1::TrainResult* result) {
  Net& net = assignment->net();
  const uint32_t parts = assignment->parts();
  std::span<float> gradients = net.gradients();
  for (uint32_t part = 0; part < parts; ++part) {
    if (iteration.held.ended.stopped()) return absl::CancelledError("the lease has ended");
    SAMOVAR_RETURN_IF_ERROR(RunForward(iteration, part, assignment, result));
    SAMOVAR_RETURN_IF_ERROR(net.Backward([](uint64_t, uint64_t) {}));
    if (parts == 1) break;
    assignment->sum()->Add(net.gradients(), /*first=*/part == 0);
    gradients = assignment->sum()->values();
  }
  ClipAndAverage(net.layout(), assignment->spec().solver().clip_gradients(), static_cast<int>(parts), gradients);
  ParameterClient& parameters = assignment->parameters();
  parameters.StartPush(iteration.t, iteration.held.lease.epoch(), gradients,
                       iteration.more ? net.weights() : std::span<float>());
  parameters.Ready(0, parameters.elements());
  return absl::OkStatus();
}

// Pulls first unless the net holds weights that came with the iteration before.
absl::StatusOr<v1::TrainResult> RunIteration(const Iteration& iteration, bool pull_first, Assignment* assignment) {
  ParameterClient& parameters = assignment->parameters();
  if (pull_first) {
    assignment->batches().Start(iteration.t, /*part=*/0);
    SAMOVAR_RETURN_IF_ERROR(parameters.Pull(assignment->net().weights(), LimitFor(iteration.held)));
  }
  v1::TrainResult result;
  result.set_job_id(iteration.held.lease.job_id());
  result.set_lease_id(iteration.held.lease.lease_id());
  result.set_iteration(iteration.t);
  const bool whole = assignment->parts() > 1 || assignment->spec().solver().clip_gradients() >= 0;
  SAMOVAR_RETURN_IF_ERROR(whole ? RunAndPushWhole(iteration, assignment, &result)
                                : RunAndPushByLayer(iteration, assignment, &result));
  SAMOVAR_RETURN_IF_ERROR(parameters.AwaitPush(LimitFor(iteration.held)).status());
  return result;
}

absl::Status RunTraining(const HeldLease& held, Assignment* assignment, Outbox* outbox) {
  const v1::IterationRange& range = held.lease.train();
  // The same name may stand for another copy by the next test, in another run of the job.
  assignment->ForgetFrozen();
  for (uint64_t t = range.begin(); t < range.end(); ++t) {
    if (held.ended.stopped()) return absl::CancelledError("the lease has ended");
    const Iteration iteration = {t, /*more=*/t + 1 < range.end(), held};
    absl::StatusOr<v1::TrainResult> result = RunIteration(iteration, /*pull_first=*/t == range.begin(), assignment);
    if (!result.ok()) return Annotate(result.status(), absl::StrCat("iteration ", t));
    outbox->Add(*std::move(result));
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
