// A worker on a thread of its own, as in the program.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "worker/train/worker.h"

namespace samovar {

class RunningWorker {
 public:
  explicit RunningWorker(const std::string& coordinator, std::function<void()> on_joined = nullptr)
      : worker_({.coordinator = coordinator, .name = "tester", .on_joined = std::move(on_joined), .check_sent = true}),
        thread_([this] { worker_.Run(); }) {}
  ~RunningWorker() { Stop(); }
  const Metrics& metrics() const { return worker_.metrics(); }
  void Stop() {
    worker_.Stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  Worker worker_;
  std::thread thread_;
};

}  // namespace samovar
