#include "cli/job_watcher.h"

#include <unistd.h>

#include <utility>

#include "common/base/backoff.h"

namespace samovar {
namespace {

constexpr absl::Duration kFirstRetry = absl::Milliseconds(200);
constexpr absl::Duration kLastRetry = absl::Seconds(5);

bool Ended(const v1::JobStatus& status) {
  return status.state() == v1::JOB_STATE_SUCCEEDED || status.state() == v1::JOB_STATE_FAILED ||
         status.state() == v1::JOB_STATE_CANCELLED;
}

}  // namespace

JobWatcher::JobWatcher(std::shared_ptr<grpc::Channel> channel, std::string job_id, absl::Duration interval,
                       Waker* waker)
    : stub_(v1::JobService::NewStub(std::move(channel))),
      job_id_(std::move(job_id)),
      interval_(interval),
      waker_(waker),
      thread_([this] { Run(); }) {}

JobWatcher::~JobWatcher() {
  stopper_.Stop();
  {
    absl::MutexLock lock(&mu_);
    if (call_ != nullptr) call_->TryCancel();
  }
  thread_.join();
}

std::optional<v1::JobStatus> JobWatcher::Take() {
  absl::MutexLock lock(&mu_);
  return std::exchange(newest_, std::nullopt);
}

bool JobWatcher::WatchOnce() {
  grpc::ClientContext context;
  {
    absl::MutexLock lock(&mu_);
    if (stopper_.stopped()) return true;
    call_ = &context;
  }
  v1::WatchRequest request;
  request.set_job_id(job_id_);
  request.set_interval_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(interval_)));
  const std::unique_ptr<grpc::ClientReader<v1::JobStatus>> reader = stub_->Watch(&context, request);
  v1::JobStatus status;
  bool ended = false;
  while (reader->Read(&status)) {
    ended = Ended(status);
    {
      absl::MutexLock lock(&mu_);
      newest_ = std::move(status);
    }
    status.Clear();
    waker_->Notify();
  }
  // Why the call ended does not matter: it is made again, and whether the coordinator lives is seen by its process.
  reader->Finish();
  absl::MutexLock lock(&mu_);
  call_ = nullptr;
  return ended;
}

void JobWatcher::Run() {
  Backoff backoff(kFirstRetry, kLastRetry, static_cast<uint64_t>(getpid()));
  while (!WatchOnce()) {
    if (stopper_.WaitFor(backoff.Next())) return;
  }
}

}  // namespace samovar
