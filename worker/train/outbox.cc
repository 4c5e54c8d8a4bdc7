#include "worker/train/outbox.h"

#include <utility>

namespace samovar {
namespace {

template <typename Field>
void DropOldest(Field* field) {
  if (field->size() > Outbox::kMaxResults) field->DeleteSubrange(0, field->size() - Outbox::kMaxResults);
}

}  // namespace

void Outbox::Add(v1::TrainResult result) {
  absl::MutexLock lock(&mu_);
  *report_.add_train() = std::move(result);
  DropOldest(report_.mutable_train());
}

void Outbox::Add(v1::TestResult result) {
  absl::MutexLock lock(&mu_);
  *report_.add_test() = std::move(result);
  DropOldest(report_.mutable_test());
}

void Outbox::Add(v1::WorkFailure failure) {
  absl::MutexLock lock(&mu_);
  *report_.add_failures() = std::move(failure);
  DropOldest(report_.mutable_failures());
}

v1::WorkerReport Outbox::Take() {
  absl::MutexLock lock(&mu_);
  v1::WorkerReport taken;
  taken.Swap(&report_);
  report_.set_epoch(taken.epoch());
  return taken;
}

void Outbox::PutBack(v1::WorkerReport report) {
  absl::MutexLock lock(&mu_);
  if (report.epoch() != report_.epoch()) return;
  report.MergeFrom(report_);
  report_ = std::move(report);
  DropOldest(report_.mutable_train());
  DropOldest(report_.mutable_test());
  DropOldest(report_.mutable_failures());
}

void Outbox::Begin(uint64_t epoch) {
  absl::MutexLock lock(&mu_);
  if (epoch == report_.epoch()) return;
  report_.Clear();
  report_.set_epoch(epoch);
}

}  // namespace samovar
