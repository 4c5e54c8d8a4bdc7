// A library to be preloaded: the wall clock of one process as if an administrator set it. SAMOVAR_TEST_CLOCK names a
// file of 8 bytes, by how many nanoseconds the clock is off; it is read whenever the clock is. Waits until a moment of
// the wall clock, as Abseil asks the kernel for, end when this clock says so, as the kernel would have it after the
// clock was set.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
// How often a wait looks at the clock.
constexpr int64_t kLook = 20'000'000;

using ClockGettime = int (*)(clockid_t, timespec*);
using Syscall = long (*)(long, ...);  // NOLINT(google-runtime-int)

int64_t Offset() {
  static const std::atomic<int64_t>* const offset = []() -> const std::atomic<int64_t>* {
    const char* const path = getenv("SAMOVAR_TEST_CLOCK");
    const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return nullptr;
    void* const mapped = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    return mapped == MAP_FAILED ? nullptr : static_cast<const std::atomic<int64_t>*>(mapped);
  }();
  return offset == nullptr ? 0 : offset->load();
}

timespec Split(int64_t nanoseconds) { return {nanoseconds / kNanoseconds, nanoseconds % kNanoseconds}; }

int64_t Read(clockid_t clock) {
  static const auto real = reinterpret_cast<ClockGettime>(dlsym(RTLD_NEXT, "clock_gettime"));
  timespec time;
  real(clock, &time);
  return time.tv_sec * kNanoseconds + time.tv_nsec;
}

int64_t WallClock() { return Read(CLOCK_REALTIME) + Offset(); }

// The program's own syscall, if it has one, else the C library's. `own`: which.
Syscall Next(bool* own) {
  struct Found {
    Syscall function;
    bool own;
  };
  static const Found found = [] {
    void* const symbol = dlsym(RTLD_NEXT, "syscall");
    Dl_info info = {};
    const bool known = dladdr(symbol, &info) != 0 && info.dli_fname != nullptr;
    return Found{reinterpret_cast<Syscall>(symbol), known && strstr(info.dli_fname, "libc.so") == nullptr};
  }();
  *own = found.own;
  return found.function;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  *time = Split(clock == CLOCK_REALTIME ? WallClock() : Read(clock));
  return 0;
}

int gettimeofday(timeval* time, void*) noexcept {
  const timespec now = Split(WallClock());
  *time = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* result) noexcept {
  const time_t now = WallClock() / kNanoseconds;
  if (result != nullptr) *result = now;
  return now;
}

long syscall(long number, ...) noexcept {  // NOLINT(google-runtime-int)
  va_list list;
  va_start(list, number);
  int64_t a[6];
  for (int64_t& argument : a) argument = va_arg(list, int64_t);
  va_end(list);
  bool own = false;
  const Syscall next = Next(&own);
  const bool by_wall_clock = number == SYS_futex && (a[1] & FUTEX_CLOCK_REALTIME) != 0 && a[3] != 0;
  if (own || !by_wall_clock) return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  const timespec until = *reinterpret_cast<const timespec*>(a[3]);
  while (WallClock() < until.tv_sec * kNanoseconds + until.tv_nsec) {
    const timespec look = Split(Read(CLOCK_MONOTONIC) + kLook);
    const auto result = next(number, a[0], a[1] & ~int64_t{FUTEX_CLOCK_REALTIME}, a[2], &look, a[4], a[5]);
    if (result == 0 || errno != ETIMEDOUT) return result;
  }
  errno = ETIMEDOUT;
  return -1;
}

}  // extern "C"
