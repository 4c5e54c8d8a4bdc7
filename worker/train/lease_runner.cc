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
#include "common/model/part_tree.h"
#include "common/model/push_units.h"
#include "common/parameters/push_counters.h"
#include "worker/train/fed_net.h"
#include "worker/train/finite_check.h"
#include "worker/train/gradient_sum.h"
#include "worker/train/lease_steps.h"
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

// Computes the steps of one lease. The push of a step is under way while the next one's forward pass is computed.
class LeaseRun {
 public:
  LeaseRun(const HeldLease& held, const Stopper& leaving, bool check_sent, Assignment* assignment, Outbox* outbox)
      : held_(held),
        leaving_(leaving),
        assignment_(*assignment),
        clock_(assignment->clock()),
        outbox_(*outbox),
        steps_(held.lease, assignment->parts()),
        computed_(clock_->Spent(v1::WORKER_ACTIVITY_COMPUTING)),
        sent_(check_sent) {}
  ~LeaseRun() { assignment_.parameters().AbandonPush(); }

  absl::Status Run();

 private:
  // The results of a step: one for each part, in their order.
  using Results = std::vector<v1::TrainResult>;

  absl::Status RunStep(uint64_t number);
  // Enters the step in the ledgers without an update, in place of its push.
  absl::Status SkipStep(uint64_t number, Results results);
  // Some chunk has skipped the step that is pushed, for an earlier lease: has those skip it that have no update of it
  // yet.
  absl::Status SkipPushed(uint64_t number, const absl::Status& refusal);
  // Whether there is something in the step's gradient that is not finite, which is noted: then it is of no use.
  bool IsBad(std::optional<std::string> finding);
  absl::Status RunForward(uint64_t number, uint32_t part, uint32_t pass, v1::TrainResult* result);
  // The first forward pass of a part, and the end of the push that was under way, whose gradients the backward pass
  // writes over.
  absl::Status BeginPart(uint64_t number, uint32_t part, v1::TrainResult* result);
  // Notes what a part took that was computed just now, where parts are dealt by it.
  void NoteTime(v1::TrainResult* result);
  // Computes the parts of a step before its last one, and adds them up.
  absl::Status AddPartsBeforeLast(uint64_t number, Results* results);
  absl::Status RunAndPushByLayer(uint64_t number, Results* results);
  absl::Status RunAndPushWhole(uint64_t number, Results* results);
  // Runs a unit of a job with push_every: so many steps from this one on, and their push.
  absl::Status RunUnit(uint64_t first, uint64_t count);
  // Steps from this one on that end with a push: 1, or a unit's.
  uint64_t StepsToPush(uint64_t number) const;
  // All passes of a part, one after the other: its gradient, clipped and averaged unless that is left to the servers.
  // Valid until the net computes again.
  absl::StatusOr<std::span<float>> ComputeWhole(uint64_t number, uint32_t part, v1::TrainResult* result);
  // Whether a part's gradient is final only when all of it is there; else its layers are final one by one.
  bool FinalAsWhole() const;
  // Adds a part before the last one of a step to the others, as it is when it is pushed alone.
  void AddPart(const LeaseSteps::Step& step, uint32_t part, std::span<float> gradients);
  Results NewResults(const LeaseSteps::Step& step) const;
  // `iterations`: as of StartPush of ParameterClient, ending with the step's.
  void StartPush(const LeaseSteps::Step& step, std::span<const float> gradients, uint32_t iterations = 1);
  // Whether the step's push is to leave no residual: none may come after it.
  bool PushesInFull(const LeaseSteps::Step& step);
  // All gradients are final, and are sent.
  void PushAll(std::span<const float> gradients);
  // Waits for the push that is under way.
  absl::Status AwaitPush(const WaitLimit& limit);
  // The same, if there is one, and hands in its result: as soon as all servers hold the gradients, though the weights
  // of the next iteration may have to wait for other workers.
  absl::Status EndPush();
  void HandIn();
  // Completes the results with what servers say of their push.
  void AddPushFacts(Results* results);
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
  const LeaseSteps steps_;
  // Those of the push under way; else empty.
  Results pushed_;
  // Describes a value that is not finite in the step under way.
  std::optional<std::string> finding_;
  // Time of computing until the last part, or the lease's start.
  absl::Duration computed_;
  // The spans that the push under way has sent.
  SentSpans sent_;
  // The last push was in full, since the worker leaves.
  bool reported_leaving_ = false;
};

bool LeaseRun::IsBad(std::optional<std::string> finding) {
  if (finding.has_value() && !finding_.has_value()) finding_ = std::move(finding);
  return finding_.has_value();
}

// One pass of a part, and the start of the reading of the next one's records.
absl::Status LeaseRun::RunForward(uint64_t number, uint32_t part, uint32_t pass, v1::TrainResult* result) {
  const LeaseSteps::Step step = steps_.at(number);
  const uint32_t passes = assignment_.passes();
  Net& net = assignment_.net();
  BatchPrefetcher& batches = assignment_.batches();
  const uint32_t batch = part * passes + pass;
  held_.waiting.Clear();
  ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS);
  if (batches.adapts()) {
    const absl::StatusOr<ShapesByLayer> shapes = batches.AwaitShapes(step.t, batch);
    SAMOVAR_RETURN_IF_ERROR(FinalIfUnreadable(shapes.status()));
    SAMOVAR_RETURN_IF_ERROR(FitNet(*shapes, &net));
  }
  SAMOVAR_RETURN_IF_ERROR(FinalIfUnreadable(batches.Take(step.t, batch, TopsOf(net, assignment_.spec().train_data()))));
  if (pass + 1 < passes || part < step.last_part()) {
    batches.Start(step.t, batch + 1);
  } else if (number + 1 < steps_.size()) {
    const LeaseSteps::Step next = steps_.at(number + 1);
    batches.Start(next.t, next.subtree.first * passes);
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

bool LeaseRun::PushesInFull(const LeaseSteps::Step& step) {
  if (!assignment_.parameters().keeps_residual()) return false;
  reported_leaving_ = leaving_.stopped();
  const uint64_t max_iter = static_cast<uint64_t>(assignment_.spec().solver().max_iter());
  return reported_leaving_ || (!step.more_iterations && step.t + max_iter / kInFullAtEnd + 1 >= max_iter);
}

void LeaseRun::StartPush(const LeaseSteps::Step& step, std::span<const float> gradients, uint32_t iterations) {
  const bool in_full = PushesInFull(step);
  // The weights of the next iteration come with its last push; from servers that clip, when they have applied it.
  const bool pull =
      !step.more_subtrees && step.more_iterations && !reported_leaving_ && !assignment_.clipped_by_servers();
  assignment_.parameters().StartPush(step.t + 1 - iterations, held_.lease.epoch(), gradients,
                                     pull ? assignment_.net().weights() : std::span<float>(),
                                     WeightsFor(assignment_.spec(), step.t + 1), step.subtree, in_full, iterations);
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

void LeaseRun::AddPushFacts(Results* results) {
  const double residual_norm = assignment_.parameters().ResidualNorm();
  const v1::PushCounters pushes = assignment_.parameters().TakeStaleness();
  clock_->CountPushes(pushes);
  for (v1::TrainResult& result : *results) {
    result.set_residual_norm(residual_norm);
    result.set_staleness(pushes.applied() == 0 ? -1 : static_cast<float>(MeanStaleness(pushes)));
  }
}

void LeaseRun::HandIn() {
  if (pushed_.empty()) return;
  AddPushFacts(&pushed_);
  for (v1::TrainResult& result : std::exchange(pushed_, {})) outbox_.Add(std::move(result));
}

absl::Status LeaseRun::EndPush() {
  if (pushed_.empty()) return absl::OkStatus();
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

absl::Status LeaseRun::BeginPart(uint64_t number, uint32_t part, v1::TrainResult* result) {
  if (held_.ended.stopped()) return absl::CancelledError("the lease has ended");
  SAMOVAR_RETURN_IF_ERROR(RunForward(number, part, /*pass=*/0, result));
  return EndPush();
}

void LeaseRun::NoteTime(v1::TrainResult* result) {
  if (assignment_.parts() == 1) return;
  const absl::Duration before = std::exchange(computed_, clock_->Spent(v1::WORKER_ACTIVITY_COMPUTING));
  result->set_compute_seconds(absl::ToDoubleSeconds(computed_ - before));
}

void LeaseRun::AddPart(const LeaseSteps::Step& step, uint32_t part, std::span<float> gradients) {
  assignment_.parameters().RoundAsSent(step.t, part, gradients);
  assignment_.subtree_sum()->Add(part, /*first=*/part == step.subtree.first, gradients);
}

absl::Status LeaseRun::AddPartsBeforeLast(uint64_t number, Results* results) {
  const LeaseSteps::Step step = steps_.at(number);
  Net& net = assignment_.net();
  for (uint32_t part = step.subtree.first; part < step.last_part(); ++part) {
    v1::TrainResult* const result = &(*results)[part - step.subtree.first];
    if (FinalAsWhole()) {
      SAMOVAR_ASSIGN_OR_RETURN(const std::span<float> gradients, ComputeWhole(number, part, result));
      AddPart(step, part, gradients);
      NoteTime(result);
      continue;
    }
    SAMOVAR_RETURN_IF_ERROR(BeginPart(number, part, result));
    const ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_COMPUTING);
    SAMOVAR_RETURN_IF_ERROR(net.Backward([](uint64_t, uint64_t) {}));
    // The sum, which is looked at, is not finite where one of its parts is not.
    AddPart(step, part, net.gradients());
    NoteTime(result);
  }
  return absl::OkStatus();
}

// Pushes each layer's gradients while those of the layers below are computed: of the step's last part, added to those
// of the parts before.
absl::Status LeaseRun::RunAndPushByLayer(uint64_t number, Results* results) {
  const LeaseSteps::Step step = steps_.at(number);
  Net& net = assignment_.net();
  ParameterClient& parameters = assignment_.parameters();
  SubtreeSum* const sum = step.subtree.count > 1 ? assignment_.subtree_sum() : nullptr;
  SAMOVAR_RETURN_IF_ERROR(AddPartsBeforeLast(number, results));
  SAMOVAR_RETURN_IF_ERROR(BeginPart(number, step.last_part(), &results->back()));
  const std::span<const float> pushed = sum != nullptr ? sum->values() : std::span<const float>(net.gradients());
  // A layer's weights are read for the last time before its gradients are ready, so that new ones may replace them at
  // once.
  StartPush(step, pushed);
  const ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_COMPUTING);
  absl::Status backward = net.Backward([&](uint64_t begin, uint64_t end) {
    if (sum != nullptr) sum->AddLast(step.last_part(), net.gradients(), begin, end);
    const std::span<const float> ready = pushed.subspan(begin, end - begin);
    if (IsBad(FindBadGradient(ready, begin, net.layout()))) return;
    sent_.Add(begin, ready);
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
// Those of several parts that are rounded are rounded chunk by chunk.
bool LeaseRun::FinalAsWhole() const {
  const v1::JobSpec& spec = assignment_.spec();
  const bool clips = spec.solver().clip_gradients() >= 0 && !assignment_.clipped_by_servers();
  const bool rounds = assignment_.parts() > 1 && spec.consistency().encoding() != v1::ENCODING_FLOAT32;
  return SkipsWhatIsNotFinite(spec.consistency()) || assignment_.passes() > 1 || clips || rounds;
}

absl::StatusOr<std::span<float>> LeaseRun::ComputeWhole(uint64_t number, uint32_t part, v1::TrainResult* result) {
  Net& net = assignment_.net();
  const uint32_t passes = assignment_.passes();
  std::span<float> gradients = net.gradients();
  for (uint32_t pass = 0; pass < passes; ++pass) {
    if (pass == 0) {
      SAMOVAR_RETURN_IF_ERROR(BeginPart(number, part, result));
    } else {
      if (held_.ended.stopped()) return absl::CancelledError("the lease has ended");
      SAMOVAR_RETURN_IF_ERROR(RunForward(number, part, pass, result));
    }
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

absl::Status LeaseRun::RunAndPushWhole(uint64_t number, Results* results) {
  const LeaseSteps::Step step = steps_.at(number);
  SAMOVAR_RETURN_IF_ERROR(AddPartsBeforeLast(number, results));
  SAMOVAR_ASSIGN_OR_RETURN(const std::span<float> gradients, ComputeWhole(number, step.last_part(), &results->back()));
  std::span<const float> pushed = gradients;
  if (step.subtree.count > 1) {
    assignment_.parameters().RoundAsSent(step.t, step.last_part(), gradients);
    assignment_.subtree_sum()->AddLast(step.last_part(), gradients, 0, gradients.size());
    pushed = assignment_.subtree_sum()->values();
  }
  StartPush(step, pushed);
  PushAll(pushed);
  return absl::OkStatus();
}

LeaseRun::Results LeaseRun::NewResults(const LeaseSteps::Step& step) const {
  Results results(step.subtree.count);
  for (uint32_t i = 0; i < step.subtree.count; ++i) {
    results[i].set_job_id(held_.lease.job_id());
    results[i].set_lease_id(held_.lease.lease_id());
    results[i].set_iteration(step.t);
    results[i].set_part(step.subtree.first + i);
  }
  return results;
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
  Results results;
  local.Begin();
  for (uint64_t number = first; number < end; ++number) {
    const LeaseSteps::Step step = steps_.at(number);
    if (held_.ended.stopped()) return absl::CancelledError("the lease has ended");
    results.push_back(NewResults(step).front());
    SAMOVAR_ASSIGN_OR_RETURN(const std::span<const float> gradients,
                             ComputeWhole(number, step.last_part(), &results.back()));
    local.Step(step.t, gradients, assignment_.net().weights());
  }
  StartPush(steps_.at(end - 1), local.displacement(), static_cast<uint32_t>(count));
  PushAll(local.displacement());
  SAMOVAR_RETURN_IF_ERROR(AwaitPush(LimitFor(held_)));
  AddPushFacts(&results);
  for (v1::TrainResult& result : results) outbox_.Add(std::move(result));
  return absl::OkStatus();
}

absl::Status LeaseRun::RunStep(uint64_t number) {
  const LeaseSteps::Step step = steps_.at(number);
  Results results = NewResults(step);
  const bool skips = SkipsWhatIsNotFinite(assignment_.spec().consistency());
  finding_.reset();
  const absl::Status pushed = FinalAsWhole() ? RunAndPushWhole(number, &results) : RunAndPushByLayer(number, &results);
  NoteTime(&results.back());
  if (skips && finding_.has_value()) return SkipStep(number, std::move(results));
  if (!pushed.ok() && finding_.has_value())
    return absl::InvalidArgumentError(absl::StrCat(pushed.message(), clock_->LatenessNote()));
  SAMOVAR_RETURN_IF_ERROR(pushed);
  pushed_ = std::move(results);
  if (step.more_subtrees) return absl::OkStatus();
  // With the last push come the weights that the next pass needs.
  if (!assignment_.clipped_by_servers()) {
    const absl::Status ended = EndPush();
    const bool skipped = skips && absl::IsAlreadyExists(ended) && !pushed_.empty();
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
  return SkipStep(number, std::exchange(pushed_, {}));
}

absl::Status LeaseRun::SkipStep(uint64_t number, Results results) {
  const LeaseSteps::Step step = steps_.at(number);
  SAMOVAR_RETURN_IF_ERROR(EndPush());
  v1::SkipRequest request;
  request.set_job_id(held_.lease.job_id());
  request.set_epoch(held_.lease.epoch());
  request.set_iteration(step.t);
  request.set_part(step.subtree.first);
  request.set_part_count(step.subtree.count);
  request.set_opening(assignment_.opening());
  SAMOVAR_ASSIGN_OR_RETURN(const SkippedChunks chunks,
                           SkipIteration(assignment_.servers(), assignment_.dialer(), request, LimitFor(held_)));
  if (chunks.skipped > 0 && chunks.updated > 0) {
    absl::StrAppend(&*finding_, "; ", chunks.updated, " of ", chunks.updated + chunks.skipped,
                    " chunks have an update of it from an earlier lease, which was finite, and keep it");
  }
  for (v1::TrainResult& result : results) {
    result.clear_outputs();
    result.clear_loss();
    if (chunks.skipped == 0) {
      result.set_applied_before(true);
    } else {
      result.set_updated_chunks(chunks.updated);
      result.set_skipped(*finding_);
    }
    outbox_.Add(std::move(result));
  }
  if (step.more_subtrees || !step.more_iterations) return absl::OkStatus();
  return PullFor(step.t + 1);
}

absl::Status LeaseRun::PullFor(uint64_t t) {
  const ScopeActivity activity(clock_, v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS);
  return assignment_.parameters().Pull(assignment_.net().weights(), LimitFor(held_), WeightsFor(assignment_.spec(), t));
}

absl::Status LeaseRun::Run() {
  const LeaseSteps::Step first = steps_.at(0);
  assignment_.batches().Start(first.t, first.subtree.first * assignment_.passes());
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
