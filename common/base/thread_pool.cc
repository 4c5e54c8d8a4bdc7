#include "common/base/thread_pool.h"

#include <chrono>
#include <exception>

namespace samovar {
namespace {

// Longer than the serial work between two layers' loops, and short beside a time slice, should the processor be wanted
// elsewhere.
constexpr std::chrono::microseconds kPatience{50};
constexpr int kPausesPerLook = 16;

// Waits until the value is one that is wanted, and returns it: looks for a while, then sleeps between the value's
// changes. The thread that changes the value notifies.
template <typename Wanted>
uint32_t Await(const std::atomic<uint32_t>& value, Wanted wanted) {
  uint32_t seen = value.load(std::memory_order_acquire);
  if (wanted(seen)) return seen;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      __builtin_ia32_pause();
      seen = value.load(std::memory_order_acquire);
      if (wanted(seen)) return seen;
    }
  } while (std::chrono::steady_clock::now() < end);
  while (!wanted(seen)) {
    value.wait(seen, std::memory_order_acquire);
    seen = value.load(std::memory_order_acquire);
  }
  return seen;
}

}  // namespace

ThreadPool::ThreadPool(int threads) : shares_(static_cast<size_t>(threads)) {
  for (int thread = 1; thread < threads; ++thread) {
    helpers_.emplace_back([this, thread] { HelperLoop(thread); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_ = true;
  // A change, so that sleeping helpers see the flag.
  gate_.fetch_add(kOneLoop);
  gate_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::ParallelFor(int64_t pieces, absl::FunctionRef<void(int64_t, int)> body) {
  if (helpers_.empty() || pieces <= 1) {
    for (int64_t piece = 0; piece < pieces; ++piece) body(piece, 0);
    return;
  }
  // The first exception of a body; the others' pieces go on. Read when nobody is inside any more.
  std::atomic<bool> failed = false;
  std::exception_ptr failure;
  const auto run = [&](int64_t piece, int thread) {
    try {
      body(piece, thread);
    } catch (...) {
      if (!failed.exchange(true, std::memory_order_relaxed)) failure = std::current_exception();
    }
  };
  const absl::FunctionRef<void(int64_t, int)> guarded = run;
  body_ = &guarded;
  const int64_t threads = this->threads();
  for (int64_t thread = 0; thread < threads; ++thread) {
    Share& share = shares_[static_cast<size_t>(thread)];
    share.next.store(pieces * thread / threads, std::memory_order_relaxed);
    share.end = pieces * (thread + 1) / threads;
  }
  gate_.fetch_add(kOneLoop | kOpen, std::memory_order_release);
  gate_.notify_all();
  RunPieces(guarded, 0);
  gate_.fetch_and(~kOpen, std::memory_order_relaxed);
  // Helpers leave by themselves, since pieces are finite. Their writes are visible from here on.
  Await(gate_, [](uint32_t gate) { return (gate & kInside) == 0; });
  if (failure != nullptr) std::rethrow_exception(failure);
}

void ThreadPool::RunPieces(const absl::FunctionRef<void(int64_t, int)>& body, int thread) {
  const size_t threads = shares_.size();
  for (size_t i = 0; i < threads; ++i) {
    Share& share = shares_[(static_cast<size_t>(thread) + i) % threads];
    for (int64_t piece; (piece = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) body(piece, thread);
  }
}

void ThreadPool::HelperLoop(int thread) {
  const auto number = [](uint32_t gate) { return gate / kOneLoop; };
  uint32_t joined = number(0);
  while (true) {
    uint32_t gate =
        Await(gate_, [&](uint32_t seen) { return ((seen & kOpen) != 0 && number(seen) != joined) || stopping_; });
    if (stopping_) return;
    if (!gate_.compare_exchange_strong(gate, gate + 1, std::memory_order_acquire)) continue;
    joined = number(gate);
    RunPieces(*body_, thread);
    const uint32_t before = gate_.fetch_sub(1, std::memory_order_release);
    // The caller may sleep until the last is out.
    if ((before & (kInside | kOpen)) == 1) gate_.notify_all();
  }
}

}  // namespace samovar
