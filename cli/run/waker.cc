#include "cli/run/waker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "common/base/clock.h"

namespace samovar {
namespace {

constexpr absl::Duration kLongestPoll = absl::Hours(1);

int MakeEventFd() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // Without file descriptors there is nothing this process could do, not even report it.
  if (fd < 0) std::abort();
  return fd;
}

}  // namespace

Waker::Waker() : fd_(MakeEventFd()) {}

Waker::~Waker() { close(fd_); }

void Waker::Notify() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the waiter wakes anyway.
  [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof one);
}

void Waker::Wait(absl::Time deadline, int other_fd) {
  const absl::Duration left = std::clamp(deadline - SteadyNow(), absl::ZeroDuration(), kLongestPoll);
  // Rounded up: a wait that ends too early would be repeated at once, and again.
  const int milliseconds = static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))));
  pollfd fds[] = {{fd_, POLLIN, 0}, {other_fd, POLLIN, 0}};
  poll(fds, other_fd < 0 ? 1 : 2, milliseconds);
  uint64_t count;
  [[maybe_unused]] const ssize_t drained = read(fd_, &count, sizeof count);
}

}  // namespace samovar
