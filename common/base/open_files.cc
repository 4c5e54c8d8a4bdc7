#include "common/base/open_files.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

// Set by RaiseOpenFileLimit; 0: connections may take all files.
std::atomic<uint64_t> g_limit{0};
std::atomic<void (*)(uint64_t)> g_report{nullptr};

}  // namespace

absl::Status RaiseOpenFileLimit(uint64_t fewest) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return absl::ErrnoToStatus(errno, "cannot read the limit of open files");
  limit.rlim_cur = limit.rlim_max;
  // Above what the kernel allows at all (fs.nr_open) the old one stays.
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < fewest) {
    return absl::FailedPreconditionError(
        absl::StrCat("no more than ", limit.rlim_cur, " files can be open at a time, and this program needs ", fewest,
                     "; raise the limit: ulimit -n 4096, or LimitNOFILE= of its service"));
  }
  g_limit = limit.rlim_cur;
  return absl::OkStatus();
}

void OnConnectionRefused(void (*report)(uint64_t limit)) { g_report = report; }

}  // namespace samovar

// Sanitizers have their own accept4.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace samovar {
namespace {

void Report() {
  constexpr int64_t kSecondsBetween = 10;
  static std::atomic<int64_t> last{-kSecondsBetween};
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t before = last.load(std::memory_order_relaxed);
  void (*const report)(uint64_t) = g_report.load();
  if (report == nullptr || now.tv_sec < before + kSecondsBetween || !last.compare_exchange_strong(before, now.tv_sec))
    return;
  report(g_limit.load());
}

}  // namespace
}  // namespace samovar

// Stands in for the C library's accept4, in every program that links this file. A connection for which there is no file
// any more, or which would take one that the process needs for itself, is taken and closed at once, so that its peer
// knows and comes again; EINTR has the caller accept the next one. Without that gRPC would see EMFILE, and never accept
// again.
extern "C" __attribute__((visibility("default"))) int accept4(int listener, sockaddr* address, socklen_t* length,
                                                              int flags) {
  const uint64_t limit = samovar::g_limit.load(std::memory_order_relaxed);
  const auto accept_one = [&] { return static_cast<int>(::syscall(SYS_accept4, listener, address, length, flags)); };
  const int connection = accept_one();
  if (limit == 0) return connection;
  if (connection >= 0 && static_cast<uint64_t>(connection) + samovar::kFilesBesideConnections < limit)
    return connection;
  if (connection < 0 && errno != EMFILE) return connection;
  if (connection >= 0) close(connection);
  samovar::Report();
  errno = connection >= 0 ? EINTR : EAGAIN;
  return -1;
}

#endif
