#include "common/rpc/write_deadlines.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"

namespace samovar {

WriteDeadlines::WriteDeadlines(absl::Duration patience) : patience_(patience), watcher_([this] { Watch(); }) {}

WriteDeadlines::~WriteDeadlines() {
  stopper_.Stop();
  watcher_.join();
}

uint64_t WriteDeadlines::Begin(grpc::ServerContext* context, uint64_t bytes) {
  const absl::Duration allowed = patience_ + absl::Seconds(static_cast<double>(bytes) / kBytesPerSecond);
  const absl::Time deadline = SteadyNow() + allowed;
  absl::MutexLock lock(&mu_);
  pending_[++last_] = {context, deadline, bytes};
  return last_;
}

void WriteDeadlines::End(uint64_t write) {
  absl::MutexLock lock(&mu_);
  pending_.erase(write);
}

void WriteDeadlines::Watch() {
  const absl::Duration tick = std::min(absl::Seconds(1), patience_ / 4);
  while (!stopper_.WaitFor(tick)) RunTurn("the watch over readers", [this] { EndOverdue(); });
}

void WriteDeadlines::EndOverdue() {
  std::vector<std::string> news;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = SteadyNow();
    for (auto write = pending_.begin(); write != pending_.end();) {
      if (now < write->second.deadline) {
        ++write;
        continue;
      }
      // Under the lock, so that the context is there. It does not call back.
      write->second.context->TryCancel();
      news.push_back(absl::StrCat("client ", write->second.context->peer(), " does not read: ", write->second.bytes,
                                  " bytes were not taken in time, and its call is ended"));
      write = pending_.erase(write);
    }
  }
  for (const std::string& line : news) LogWarning(line);
}

}  // namespace samovar
