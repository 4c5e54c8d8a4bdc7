#include "benchmarks/control_plane/status_readers.h"

#include "benchmarks/support/quantile.h"
#include "common/base/clock.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"

namespace samovar {

StatusReaders::StatusReaders(const std::string& coordinator, int watchers)
    : channel_(Dialer(RpcOptions()).Dial(coordinator)), begun_(SteadyNow()) {
  for (int i = 0; i < watchers; ++i) {
    watchers_.push_back(std::make_unique<Watcher>());
    Watcher* const watcher = watchers_.back().get();
    watcher->thread = std::thread([this, watcher] { Watch(watcher); });
  }
  asker_ = std::thread([this] { Ask(); });
}

void StatusReaders::Watch(Watcher* watcher) {
  const auto reader = v1::StatusService::NewStub(channel_)->WatchStatus(&watcher->context, v1::WatchStatusRequest());
  v1::ClusterStatus status;
  while (reader->Read(&status)) {
    ++watcher->messages;
    watcher->bytes += status.ByteSizeLong();
  }
  reader->Finish();
}

void StatusReaders::Ask() {
  const auto stub = v1::StatusService::NewStub(channel_);
  while (!stopper_.WaitFor(absl::Milliseconds(100))) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(10));
    v1::ClusterStatus status;
    const absl::Time asked = SteadyNow();
    if (!stub->GetStatus(&context, v1::GetStatusRequest(), &status).ok()) continue;
    seconds_.push_back(absl::ToDoubleSeconds(SteadyNow() - asked));
    status_bytes_ = status.ByteSizeLong();
  }
}

StatusReaders::Figures StatusReaders::Stop() {
  Figures figures;
  if (!asker_.joinable()) return figures;
  stopper_.Stop();
  const double seconds = absl::ToDoubleSeconds(SteadyNow() - begun_);
  for (const auto& watcher : watchers_) watcher->context.TryCancel();
  for (const auto& watcher : watchers_) {
    watcher->thread.join();
    const double all = seconds * static_cast<double>(watchers_.size());
    figures.messages_per_second += static_cast<double>(watcher->messages) / all;
    figures.bytes_per_second += static_cast<double>(watcher->bytes) / all;
  }
  asker_.join();
  if (seconds_.empty()) return figures;
  figures.status_bytes = status_bytes_;
  figures.median_ms = 1e3 * Quantile(&seconds_, 0.5);
  figures.p99_ms = 1e3 * Quantile(&seconds_, 0.99);
  return figures;
}

}  // namespace samovar
