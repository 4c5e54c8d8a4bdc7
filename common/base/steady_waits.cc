// Makes the timed waits inside libraries independent of the wall clock. gRPC's timers, deadlines among them, wait
// through Abseil, whose version in Debian 12 gives the kernel a moment of CLOCK_REALTIME: a clock that is set back by
// an hour stops them for an hour, without a word. Abseil makes that call by the C library's syscall(), which this file
// stands in for, in every program that links it: the same wait, until the same moment by CLOCK_MONOTONIC, which cannot
// be set. Later versions of Abseil do so themselves, and pass by here. Waits of our own are SteadyCondition's.
//
// Sanitizers have their own syscall().
#if defined(__linux__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include <cstdarg>
#include <cstdint>

namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * kNanoseconds + time.tv_nsec; }

int64_t Now(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return Nanoseconds(now);
}

// The moment of CLOCK_MONOTONIC that `real` is. A wait that goes on after a wake-up for nothing names the same moment
// again: that is remembered, for the wall clock may have been set meanwhile.
timespec Monotonic(const timespec& real) {
  static thread_local int64_t last_real = 0;
  static thread_local int64_t last_monotonic = 0;
  if (const int64_t moment = Nanoseconds(real); moment != last_real) {
    last_monotonic = Now(CLOCK_MONOTONIC) + moment - Now(CLOCK_REALTIME);
    last_real = moment;
  }
  // A moment before the clock's zero has passed as well as zero has.
  const int64_t moment = last_monotonic < 0 ? 0 : last_monotonic;
  return {moment / kNanoseconds, moment % kNanoseconds};
}

// As the kernel takes it: a negative result is an error's number.
int64_t Call(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f) {
  int64_t result;
  register int64_t fourth asm("r10") = d;
  register int64_t fifth asm("r8") = e;
  register int64_t sixth asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
               : "rcx", "r11", "memory");
  return result;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) long syscall(long number,
                                                               ...) noexcept {  // NOLINT(google-runtime-int)
  va_list list;
  va_start(list, number);
  int64_t arguments[6];
  for (int64_t& argument : arguments) argument = va_arg(list, int64_t);
  va_end(list);
  timespec until;
  constexpr int64_t kWaitOnWallClock = FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME;
  if (number == SYS_futex && (arguments[1] & ~int64_t{FUTEX_PRIVATE_FLAG}) == kWaitOnWallClock && arguments[3] != 0) {
    until = Monotonic(*reinterpret_cast<const timespec*>(arguments[3]));
    arguments[1] &= ~int64_t{FUTEX_CLOCK_REALTIME};
    arguments[3] = reinterpret_cast<int64_t>(&until);
  }
  const int64_t result =
      Call(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}

#endif
