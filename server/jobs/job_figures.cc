#include "server/jobs/job_figures.h"

#include <algorithm>
#include <utility>

#include "common/base/printable.h"
#include "common/model/consistency.h"

namespace samovar {

uint64_t JobFigures::SamplesOfIteration() const {
  return static_cast<uint64_t>(spec_.solver().iter_size()) * spec_.train_data().batch_size();
}

std::optional<std::pair<uint64_t, uint64_t>> JobFigures::Begin(const Ledger& done, absl::Time now) {
  skipped_.KeepOnly(done);
  rate_.Begin(done.size(), now);
  began_ = now;
  history_.Begin(done.watermark());
  return displays_.Begin(done.watermark());
}

void JobFigures::AddPart(const v1::TrainResult& part) {
  v1::TrainResult& sum = part_sums_[part.iteration()];
  sum.set_loss(sum.loss() + part.loss());
  sum.set_residual_norm(part.residual_norm());
  sum.set_staleness(part.staleness());
  if (sum.skipped().empty()) sum.set_skipped(part.skipped());
  sum.set_applied_before(sum.applied_before() || part.applied_before());
  // Outputs of another net are left out.
  if (part.outputs_size() != spec_.train_outputs().outputs_size()) return;
  if (sum.outputs_size() < part.outputs_size()) sum.mutable_outputs()->Resize(part.outputs_size(), 0);
  for (int i = 0; i < part.outputs_size(); ++i) sum.set_outputs(i, sum.outputs(i) + part.outputs(i));
}

std::string JobFigures::EndIteration(uint64_t iteration) {
  const v1::TrainResult sum = part_sums_[iteration];
  part_sums_.erase(iteration);
  if (!sum.skipped().empty()) {
    skipped_.Add(iteration);
    displays_.Add(iteration, {0, {}, true});
    return sum.skipped();
  }
  if (sum.applied_before()) {
    displays_.Add(iteration, {0, {}, true});
    return "";
  }
  const float share = 1.0f / static_cast<float>(std::max(1u, PartsOf(spec_.consistency())));
  DisplayLog::Result result{share * sum.loss(), {}, false};
  for (float output : sum.outputs()) result.outputs.push_back(share * output);
  history_.Add(iteration, static_cast<float>(result.loss), result.outputs, sum.staleness());
  displays_.Add(iteration, std::move(result));
  losses_.push_back(share * sum.loss());
  if (losses_.size() > std::max(kSmoothedLosses, AverageLoss())) losses_.pop_front();
  if (iteration < newest_iteration_ || sum.outputs_size() != spec_.train_outputs().outputs_size()) return "";
  newest_iteration_ = iteration;
  residual_norm_ = sum.residual_norm();
  outputs_.clear();
  for (float output : sum.outputs()) outputs_.push_back(share * output);
  return "";
}

void JobFigures::TakeBack(const Ledger& done) {
  part_sums_.clear();
  skipped_.KeepOnly(done);
  newest_iteration_ = 0;
  rate_.TakeBack(done.size());
}

void JobFigures::CountDone(uint64_t done, absl::Time now) { rate_.Count(done, now); }

void JobFigures::Advance(uint64_t watermark, absl::Time now) {
  displays_.Advance(watermark, absl::ToDoubleSeconds(now - began_));
  history_.Advance(watermark, absl::ToDoubleSeconds(now - began_));
}

double JobFigures::MeanLoss(size_t count) const {
  count = std::min(count, losses_.size());
  double sum = 0;
  for (size_t i = losses_.size() - count; i < losses_.size(); ++i) sum += losses_[i];
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

void JobFigures::WriteTo(v1::JobStatus* status, uint64_t done, absl::Time until, bool ended) const {
  status->set_loss(MeanLoss(AverageLoss()));
  status->set_smoothed_loss(MeanLoss(kSmoothedLosses));
  if (!outputs_.empty()) status->clear_outputs();
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const v1::OutputSpec& spec = spec_.train_outputs().outputs(static_cast<int>(i));
    v1::NamedValue* output = status->add_outputs();
    output->set_name(spec.name());
    output->set_loss_weight(spec.loss_weight());
    output->set_mean_of(spec.mean_of());
    output->set_value(outputs_[i]);
  }
  status->set_residual_norm(residual_norm_);
  status->set_skipped_iterations(skipped_.count());
  status->set_samples((done - std::min(done, status->resumed_from())) * SamplesOfIteration());
  const auto samples = static_cast<double>(SamplesOfIteration());
  status->set_mean_images_per_second(rate_.Mean(until) * samples);
  status->clear_images_per_second();
  status->clear_eta_seconds();
  if (ended) return;
  status->set_images_per_second(rate_.Now(until) * samples);
  const uint64_t max_iter = static_cast<uint64_t>(spec_.solver().max_iter());
  status->set_eta_seconds(rate_.SecondsFor(max_iter - std::min(done, max_iter), until));
}

void BoundTexts(v1::JobStatus* status) {
  for (std::string* text : {status->mutable_cause(), status->mutable_snapshot_error(), status->mutable_export_error(),
                            status->mutable_exported_snapshot()}) {
    *text = Printable(*text);
  }
  if (const int beyond = status->notices_size() - kMaxNotices; beyond > 0) {
    status->mutable_notices()->DeleteSubrange(0, beyond);
    status->set_dropped_notices(status->dropped_notices() + static_cast<uint64_t>(beyond));
  }
  for (std::string& notice : *status->mutable_notices()) notice = Printable(notice);
  for (v1::SnapshotStatus& snapshot : *status->mutable_snapshot_details()) {
    snapshot.set_exported_to(Printable(snapshot.exported_to()));
  }
  for (v1::NamedValue& output : *status->mutable_outputs()) output.set_name(Printable(output.name()));
  for (v1::TestReport& report : *status->mutable_tests()) {
    for (v1::NamedValue& output : *report.mutable_outputs()) output.set_name(Printable(output.name()));
  }
  for (std::string& server : *status->mutable_servers()) server = Printable(server, kMaxPeerNameBytes);
}

}  // namespace samovar
