#include "worker/train/lease_runner.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/model/gradient_clip.h"
#include "common/model/push_units.h"
#include "common/parameters/push_counters.h"
#include "worker/train/fed_net.h"
#include "worker/train/finite_check.h"
#include "worker/train/gradient_sum.h"
#include "worker/train/local_steps.h"
#include "worker/train/sent_spans.h"
#include "worker/train/skip_iteration.h"

namespace samovar {
namespace {

// Servers that do not answer for so long are reported: the coordinator knows more, and others may reach them. Longer
// than it takes the coordinator to give up a server.
constexpr absl::Duration kServersTimeout = absl::Seconds(60);

WaitLimit LimitFor(const HeldLease& held) {
  return {SteadyNow() + kServersTimeout, &held.ended, [&held](const Waiting& waiting) { held.waiting.Set(waiting); }};
}

// Adds the results of a pass to the means over an iteration's passes.
void AddResults(const Net& net, uint32_t passes, v1::TrainResult* result) {
  const std::span<const float> outputs = net.outputs();
  if (result->outputs().empty()) result->mutable_outputs()->Resize(static_cast<int>(outputs.size()), 0);
  const float share = 1.0f / static_cast<float>(passes);
  for (size_t i = 0; i < outputs.size(); ++i) result->mutable_outputs()->at(static_cast<int>(i)) += share * outputs[i];
  result->set_loss(result->loss() + share * net.loss());
}

// The condition of the job's mode on the weights that iteration t is computed from.
PulledWeights WeightsFor(const v1::JobSpec& spec, uint64_t t) {
  const std::optional<uint64_t> watermark = WatermarkFor(spec.consistency(), t);
  return {watermark.has_value(), watermark.value_or(0)};
}

// Near the end of a job a worker's next push may be its last: the last one of each lease that ends within this part of
// max_iter is in full.
constexpr uint64_t kInFullAtEnd = 20;

// The work of a lease, one after the other: part after part of an iteration, iteration after iteration.
class Steps {
 public:
  struct Step {
    uint64_t t;
    uint32_t part;
    // Other parts of the iteration come after it; other iterations do.
    bool more_parts;
    bool more_iterations;
  };

  // An iteration that is not in parts is its own part 0.
  explicit Steps(const v1::WorkLease& lease)
      : range_(lease.train()),
        parts_(lease.parts().empty() ? std::vector<uint32_t>{0}
                                     : std::vector<uint32_t>(lease.parts().begin(), lease.parts().end())) {}

  uint64_t size() const { return (range_.end() - range_.begin()) * parts_.size(); }
  Step at(uint64_t i) const {
    const uint64_t t = range_.begin() + i / parts_.size();
    const size_t place = i % parts_.size();
    return {t, parts_[place], place + 1 < parts_.size(), t + 1 < range_.end()};
  }

 private:
  const v1::IterationRange range_;
  const std::vector<uint32_t> parts_;
};

// Computes the steps of one lease. The push of a step is under way while the next one's forward pass is computed.
class LeaseRun {
 public:
  LeaseRun(const HeldLease& held, const Stopper& leaving, bool check_sent, Assignment* assignment, Outbox* outbox)
      : held_(held),
        leaving_(leaving),
        assignment_(*assignment),
        clock_(assignment->clock()),
        outbox_(*outbox),
        steps_(held.lease),
        sent_(check_sent) {}
  ~LeaseRun() { assignment_.parameters().AbandonPush(); }

  absl::Status Run();

 private:
  absl::Status RunStep(uint64_t number);
  // Enters the step in the ledgers without an update, in place of its push.
  absl::Status SkipStep(uint64_t number, v1::TrainResult result);
  // Some chunk has skipped the step that is pushed, for an earlier lease: has those skip it that have no update of it
  // yet.
  absl::Status SkipPushed(uint64_t number, const absl::Status& refusal);
  // Whether there is something in the step's gradient that is not finite, which is noted: then it is of no use.
  bool IsBad(std::optional<std::string> finding);
  absl::Status RunForward(uint64_t number, uint32_t pass, v1::TrainResult* result);
  absl::Status RunAndPushByLayer(uint64_t number, v1::TrainResult* result);
  absl::Status RunAndPushWhole(uint64_t number, v1::TrainResult* result);
  // Runs a unit of a job with push_every: so many steps from this one on, and their push.
  absl::Status RunUnit(uint64_t first, uint64_t count);
  // Steps from this one on that end with a push: 1, or a unit's.
  uint64_t StepsToPush(uint64_t number) const;
  // All passes of a step, one after the other: its gradient, clipped and averaged unless that is left to the servers.
  // Valid until the net computes again.
  absl::StatusOr<std::span<const float>> ComputeWhole(uint64_t number, v1::TrainResult* result);
  v1::TrainResult NewResult(const Steps::Step& step) const;
  // `iterations`: as of StartPush of ParameterClient, ending with the step's.
  void StartPush(const Steps::Step& step, std::span<const float> gradients, uint32_t iterations = 1);
  // Whether the step's push is to leave no residual: none may come after it.
  bool PushesInFull(const Steps::Step& step);
  // All gradients are final, and are sent.
  void PushAll(std::span<const float> gradients);
  // Waits for the push that is under way.
  absl::Status AwaitPush(const WaitLimit& limit);
  // The same, if there is one, and hands in its result: as soon as all servers hold the gradients, though the weights
  // of the next iteration may have to wait for other workers.
  absl::Status EndPush();
  void HandIn();
  // Completes the result with what servers say of its push.
  void AddPushFacts(v1::TrainResult* result);
  // In a job whose servers clip, when all of this worker's parts are pushed: has the servers apply iteration t,
  // and pulls.
  absl::Status ApplyClipped(uint64_t t);
  // The weights that iteration t is computed from.
  absl::Status PullFor(uint64_t t);

  const HeldLease& held_;
  const Stopper& leaving_;
  Assignment& assignment_;
  ActivityClock* const clock_;
  Outbox& outbox_;
  const Steps steps_;
  std::optional<v1::TrainResult> pushed_;
  // Describes a value that is not finite in the step under way.
  std::optional<std::string> finding_;
  // The spans that the push under way has sent.
  SentSpans sent_;
  // The last push was in full, since the worker leaves.
  bool reported_leaving_ = false;
};

bool LeaseRun::IsBad(std::optional<std::string> finding) {
  if (finding.has_value() && !finding_.has_value()) finding_ = std::move(finding);
  return finding_.has_value();
}

// The forward pass of one of the step's passes.
absl::Status LeaseRun::RunForward(uint64_t number, uint32_t pass, v1::TrainResult* result) {
  const Steps::Step step = steps_.at(number);
  const uint32_t passes = assignment_.passes();
  Net& net = assignment_.net();
  BatchPrefetcher& batches = assignment_.batches();
  const uint32_t batch = step.part * passes + pass;
  held_.waiting.Clear();
  ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS);
  if (batches.adapts()) {
    const absl::StatusOr<ShapesByLayer> shapes = batches.AwaitShapes(step.t, batch);
    SAMOVAR_RETURN_IF_ERROR(FinalIfUnreadable(shapes.status()));
    SAMOVAR_RETURN_IF_ERROR(FitNet(*shapes, &net));
  }
  SAMOVAR_RETURN_IF_ERROR(FinalIfUnreadable(batches.Take(step.t, batch, TopsOf(net, assignment_.spec().train_data()))));
  if (pass + 1 < passes) {
    batches.Start(step.t, batch + 1);
  } else if (number + 1 < steps_.size()) {
    const Steps::Step next = steps_.at(number + 1);
    batches.Start(next.t, next.part * passes);
  }
  activity.GoOnWith(v1::WORKER_ACTIVITY_COMPUTING);
  clock_->CountRecords(static_cast<uint64_t>(net.batch_size()));
  const uint64_t first_record = uint64_t{batch} * static_cast<uint64_t>(net.batch_size());
  const absl::Status forward = net.Forward(step.t, assignment_.spec().seed(), first_record);
  // The loss is not finite.
  if (absl::IsOutOfRange(forward)) {
    finding_ = std::string(forward.message());
    return absl::InvalidArgumentError(*finding_);
  }
  SAMOVAR_RETURN_IF_ERROR(forward);
  AddResults(net, passes, result);
  return absl::OkStatus();
}

bool LeaseRun::PushesInFull(const Steps::Step& step) {
  if (!assignment_.parameters().keeps_residual()) return false;
  reported_leaving_ = leaving_.stopped();
  const uint64_t max_iter = static_cast<uint64_t>(assignment_.spec().solver().max_iter());
  return reported_leaving_ || (!step.more_iterations && step.t + max_iter / kInFullAtEnd + 1 >= max_iter);
}

void LeaseRun::StartPush(const Steps::Step& step, std::span<const float> gradients, uint32_t iterations) {
  const bool in_full = PushesInFull(step);
  // The weights of the next iteration come with its last part; from servers that clip, when they have applied it.
  const bool pull = !step.more_parts && step.more_iterations && !reported_leaving_ && !assignment_.clipped_by_servers();
  assignment_.parameters().StartPush(step.t + 1 - iterations, held_.lease.epoch(), gradients,
                                     pull ? assignment_.net().weights() : std::span<float>(),
                                     WeightsFor(assignment_.spec(), step.t + 1), step.part, in_full, iterations);
}

void LeaseRun::PushAll(std::span<const float> gradients) {
  sent_.Add(0, gradients);
  assignment_.parameters().Ready(0, assignment_.parameters().elements());
}

absl::Status LeaseRun::AwaitPush(const WaitLimit& limit) {
  // Weights may come with it: after all servers have the gradients, the wait is for these weights.
  ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_WAITING_FOR_PUSH);
  WaitLimit counted = limit;
  counted.told = [&](const Waiting& waiting) {
    if (waiting.pushed) activity.GoOnWith(v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS);
    if (limit.told) limit.told(waiting);
  };
  SAMOVAR_RETURN_IF_ERROR(assignment_.parameters().AwaitPush(counted).status());
  return sent_.Check();
}

void LeaseRun::AddPushFacts(v1::TrainResult* result) {
  result->set_residual_norm(assignment_.parameters().ResidualNorm());
  const v1::PushCounters pushes = assignment_.parameters().TakeStaleness();
  clock_->CountPushes(pushes);
  result->set_staleness(pushes.applied() == 0 ? -1 : static_cast<float>(MeanStaleness(pushes)));
}

void LeaseRun::HandIn() {
  if (!pushed_.has_value()) return;
  AddPushFacts(&*pushed_);
  outbox_.Add(*std::move(pushed_));
  pushed_.reset();
}

absl::Status LeaseRun::EndPush() {
  if (!pushed_.has_value()) return absl::OkStatus();
  WaitLimit limit = LimitFor(held_);
  limit.told = [this](const Waiting& waiting) {
    held_.waiting.Set(waiting);
    if (waiting.pushed) HandIn();
  };
  SAMOVAR_RETURN_IF_ERROR(AwaitPush(limit));
  HandIn();
  return absl::OkStatus();
}

absl::Status LeaseRun::ApplyClipped(uint64_t t) {
  const ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS);
  ParameterClient& parameters = assignment_.parameters();
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<double> squares, parameters.PullSquares(t, LimitFor(held_)));
  const std::span<float> weights = assignment_.net().weights();
  if (squares.empty()) return parameters.Pull(weights, LimitFor(held_), WeightsFor(assignment_.spec(), t + 1));
  return parameters.ApplyAndPull(t, held_.lease.epoch(), NormOf(squares), weights, LimitFor(held_));
}

// Pushes each layer's gradients while those of the layers below are computed.
absl::Status LeaseRun::RunAndPushByLayer(uint64_t number, v1::TrainResult* result) {
  Net& net = assignment_.net();
  ParameterClient& parameters = assignment_.parameters();
  SAMOVAR_RETURN_IF_ERROR(RunForward(number, /*pass=*/0, result));
  SAMOVAR_RETURN_IF_ERROR(EndPush());
  // A layer's weights are read for the last time before its gradients are ready, so that new ones may replace them at
  // once.
  StartPush(steps_.at(number), net.gradients());
  const ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_COMPUTING);
  absl::Status backward = net.Backward([&](uint64_t begin, uint64_t end) {
    const auto gradients = std::span<const float>(net.gradients()).subspan(begin, end - begin);
    if (IsBad(FindBadGradient(gradients, begin, net.layout()))) return;
    sent_.Add(begin, gradients);
    parameters.Ready(begin, end);
  });
  if (backward.ok() && finding_.has_value()) backward = absl::InvalidArgumentError(*finding_);
  if (!backward.ok()) {
    parameters.AbandonPush();
    sent_.Clear();
  }
  return backward;
}

// With iter_size or clip_gradients no gradient is final before all are there. In a job that skips iterations that are
// not finite no gradient is sent before all are known to be finite: chunks are to skip all of an iteration or nothing.
absl::StatusOr<std::span<const float>> LeaseRun::ComputeWhole(uint64_t number, v1::TrainResult* result) {
  Net& net = assignment_.net();
  const uint32_t passes = assignment_.passes();
  std::span<float> gradients = net.gradients();
  for (uint32_t pass = 0; pass < passes; ++pass) {
    if (held_.ended.stopped()) return absl::CancelledError("the lease has ended");
    SAMOVAR_RETURN_IF_ERROR(RunForward(number, pass, result));
    if (pass == 0) SAMOVAR_RETURN_IF_ERROR(EndPush());
    const ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_COMPUTING);
    SAMOVAR_RETURN_IF_ERROR(net.Backward([](uint64_t, uint64_t) {}));
    if (passes == 1) break;
    assignment_.sum()->Add(net.gradients(), /*first=*/pass == 0);
    gradients = assignment_.sum()->values();
  }
  if (IsBad(FindBadGradient(gradients, 0, net.layout()))) return absl::InvalidArgumentError(*finding_);
  if (!assignment_.clipped_by_servers()) {
    ClipAndAverage(net.layout(), assignment_.spec().solver().clip_gradients(), static_cast<int>(passes), gradients);
  }
  return gradients;
}

absl::Status LeaseRun::RunAndPushWhole(uint64_t number, v1::TrainResult* result) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::span<const float> gradients, ComputeWhole(number, result));
  StartPush(steps_.at(number), gradients);
  PushAll(gradients);
  return absl::OkStatus();
}

v1::TrainResult LeaseRun::NewResult(const Steps::Step& step) const {
  v1::TrainResult result;
  result.set_job_id(held_.lease.job_id());
  result.set_lease_id(held_.lease.lease_id());
  result.set_iteration(step.t);
  result.set_part(step.part);
  return result;
}

uint64_t LeaseRun::StepsToPush(uint64_t number) const {
  const v1::JobSpec& spec = assignment_.spec();
  const uint32_t push_every = PushEvery(spec.consistency());
  if (push_every == 1) return 1;
  const uint64_t t = steps_.at(number).t;
  return UnitEnd(t, push_every, static_cast<uint64_t>(spec.solver().max_iter())) - t;
}

absl::Status LeaseRun::RunUnit(uint64_t first, uint64_t count) {
  const uint64_t end = first + count;
  if (end > steps_.size()) return absl::InvalidArgumentError("the lease ends within a unit of push_every");
  LocalSteps& local = *assignment_.local_steps();
  std::vector<v1::TrainResult> results;
  local.Begin();
  for (uint64_t number = first; number < end; ++number) {
    const Steps::Step step = steps_.at(number);
    if (held_.ended.stopped()) return absl::CancelledError("the lease has ended");
    SAMOVAR_ASSIGN_OR_RETURN(const std::span<const float> gradients,
                             ComputeWhole(number, &results.emplace_back(NewResult(step))));
    local.Step(step.t, gradients, assignment_.net().weights());
  }
  StartPush(steps_.at(end - 1), local.displacement(), static_cast<uint32_t>(count));
  PushAll(local.displacement());
  SAMOVAR_RETURN_IF_ERROR(AwaitPush(LimitFor(held_)));
  AddPushFacts(&results.back());
  for (v1::TrainResult& result : results) {
    result.set_residual_norm(results.back().residual_norm());
    result.set_staleness(results.back().staleness());
    outbox_.Add(result);
  }
  return absl::OkStatus();
}

absl::Status LeaseRun::RunStep(uint64_t number) {
  const Steps::Step step = steps_.at(number);
  v1::TrainResult result = NewResult(step);
  const bool skips = SkipsWhatIsNotFinite(assignment_.spec().consistency());
  const bool clips = assignment_.spec().solver().clip_gradients() >= 0 && !assignment_.clipped_by_servers();
  const bool whole = skips || assignment_.passes() > 1 || clips;
  finding_.reset();
  const absl::Status pushed = whole ? RunAndPushWhole(number, &result) : RunAndPushByLayer(number, &result);
  if (skips && finding_.has_value()) return SkipStep(number, std::move(result));
  if (!pushed.ok() && finding_.has_value())
    return absl::InvalidArgumentError(absl::StrCat(pushed.message(), clock_->LatenessNote()));
  SAMOVAR_RETURN_IF_ERROR(pushed);
  pushed_ = std::move(result);
  if (step.more_parts) return absl::OkStatus();
  // With the last part's push come the weights that the next pass needs.
  if (!assignment_.clipped_by_servers()) {
    const absl::Status ended = EndPush();
    const bool skipped = skips && absl::IsAlreadyExists(ended) && pushed_.has_value();
    return skipped ? SkipPushed(number, ended) : ended;
  }
  // It is not done before it is applied: a coordinator that reads the ledgers, when all parts are reported, must find
  // it there.
  SAMOVAR_RETURN_IF_ERROR(AwaitPush(LimitFor(held_)));
  SAMOVAR_RETURN_IF_ERROR(ApplyClipped(step.t));
  HandIn();
  return absl::OkStatus();
}

absl::Status LeaseRun::SkipPushed(uint64_t number, const absl::Status& refusal) {
  assignment_.parameters().AbandonPush();
  sent_.Clear();
  finding_ = std::string(refusal.message());
  return SkipStep(number, *std::exchange(pushed_, std::nullopt));
}

absl::Status LeaseRun::SkipStep(uint64_t number, v1::TrainResult result) {
  const Steps::Step step = steps_.at(number);
  SAMOVAR_RETURN_IF_ERROR(EndPush());
  v1::SkipRequest request;
  request.set_job_id(held_.lease.job_id());
  request.set_epoch(held_.lease.epoch());
  request.set_iteration(step.t);
  request.set_part(step.part);
  request.set_opening(assignment_.opening());
  SAMOVAR_ASSIGN_OR_RETURN(const SkippedChunks chunks,
                           SkipIteration(assignment_.servers(), assignment_.dialer(), request, LimitFor(held_)));
  result.clear_outputs();
  result.clear_loss();
  if (chunks.skipped == 0) {
    result.set_applied_before(true);
  } else {
    if (chunks.updated > 0) {
      absl::StrAppend(&*finding_, "; ", chunks.updated, " of ", chunks.updated + chunks.skipped,
                      " chunks have an update of it from an earlier lease, which was finite, and keep it");
    }
    result.set_updated_chunks(chunks.updated);
    result.set_skipped(*finding_);
  }
  outbox_.Add(std::move(result));
  if (step.more_parts || !step.more_iterations) return absl::OkStatus();
  return PullFor(step.t + 1);
}

absl::Status LeaseRun::PullFor(uint64_t t) {
  const ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS);
  return assignment_.parameters().Pull(assignment_.net().weights(), LimitFor(held_), WeightsFor(assignment_.spec(), t));
}

absl::Status LeaseRun::Run() {
  const Steps::Step first = steps_.at(0);
  assignment_.batches().Start(first.t, first.part * assignment_.passes());
  SAMOVAR_RETURN_IF_ERROR(Annotate(PullFor(first.t), absl::StrCat("iteration ", first.t)));
  for (uint64_t number = 0; number < steps_.size();) {
    if (held_.ended.stopped()) return absl::CancelledError("the lease has ended");
    const uint64_t count = StepsToPush(number);
    const absl::Status status = assignment_.local_steps() != nullptr ? RunUnit(number, count) : RunStep(number);
    if (!status.ok()) return Annotate(status, absl::StrCat("iteration ", steps_.at(number).t));
    if (reported_leaving_) return absl::OkStatus();
    number += count;
  }
  return absl::OkStatus();
}

absl::Status RunTraining(const HeldLease& held, const Stopper& leaving, bool check_sent, Assignment* assignment,
                         Outbox* outbox) {
  for (const uint32_t part : held.lease.parts()) {
    if (part < assignment->parts()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the lease has part ", part, " in it, the job has ", assignment->parts()));
  }
  // The same name may stand for another copy by the next test, in another run of the job.
  assignment->ForgetFrozen();
  return LeaseRun(held, leaving, check_sent, assignment, outbox).Run();
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

void AwaitServers(const HeldLease& held, absl::Time deadline, const Stopper& leaving, Assignment* assignment) {
  WaitLimit limit = LimitFor(held);
  limit.deadline = deadline;
  limit.stopper = &leaving;
  const absl::Status answered = assignment->parameters().Pull(assignment->net().weights(), limit);
  if (answered.ok()) held.waiting.Clear();
}

absl::Status RunLease(const HeldLease& held, const Stopper& leaving, bool check_sent, Assignment* assignment,
                      Outbox* outbox) {
  const v1::WorkLease& lease = held.lease;
  const bool empty =
      lease.has_train() ? lease.train().begin() >= lease.train().end() : lease.test().begin() >= lease.test().end();
  if (empty) return absl::InvalidArgumentError("the lease has no work in it that this version knows");
  if (lease.has_train()) return RunTraining(held, leaving, check_sent, assignment, outbox);
  const absl::Status tested = RunTest(held, assignment, outbox);
  return Annotate(tested, absl::StrCat("test at iteration ", lease.test().frozen_iteration()));
}

}  // namespace samovar
