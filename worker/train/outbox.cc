#include "worker/train/outbox.h"

#include <algorithm>
#include <utility>

namespace samovar {
namespace {

template <typename Field>
void DropOldest(Field* field) {
  if (field->size() > Outbox::kMaxResults) field->DeleteSubrange(0, field->size() - Outbox::kMaxResults);
}

// Moves elements to `to`, oldest first, while there is room for them, and lowers the room.
template <typename Field>
void MoveOldest(Field* from, Field* to, size_t* room) {
  int moved = 0;
  for (; moved < from->size(); ++moved) {
    const size_t bytes = (*from)[moved].ByteSizeLong();
    if (bytes >= *room && *room < Outbox::kMaxReportBytes) {
      *room = 0;
      break;
    }
    *room -= std::min(bytes, *room);
    to->Add(std::move((*from)[moved]));
  }
  from->DeleteSubrange(0, moved);
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
  taken.set_epoch(report_.epoch());
  size_t room = kMaxReportBytes;
  MoveOldest(report_.mutable_train(), taken.mutable_train(), &room);
  MoveOldest(report_.mutable_test(), taken.mutable_test(), &room);
  MoveOldest(report_.mutable_failures(), taken.mutable_failures(), &room);
  return taken;
}

bool Outbox::Overfull() const {
  absl::MutexLock lock(&mu_);
  return report_.ByteSizeLong() > kMaxReportBytes;
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
