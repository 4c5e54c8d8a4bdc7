#include "cli/run/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"

namespace samovar {
namespace {

// Where the child finds the descriptor that it reports on.
constexpr int kChildReadyFd = 3;
constexpr size_t kMaxReadyBytes = 4096;
constexpr std::streamoff kMaxTailBytes = 4096;

// posix_spawn's settings, freed at the end of the scope.
struct SpawnSettings {
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

void Configure(const std::string& log_path, int ready_fd, SpawnSettings* settings) {
  posix_spawn_file_actions_addopen(&settings->actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&settings->actions, STDERR_FILENO, log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0644);
  posix_spawn_file_actions_adddup2(&settings->actions, STDERR_FILENO, STDOUT_FILENO);
  // If the numbers are equal, dup2 only clears the close-on-exec flag, as wanted.
  if (ready_fd >= 0) posix_spawn_file_actions_adddup2(&settings->actions, ready_fd, kChildReadyFd);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) sigaddset(&defaults, signal);
  posix_spawnattr_setpgroup(&settings->attributes, 0);
  posix_spawnattr_setsigmask(&settings->attributes, &none);
  posix_spawnattr_setsigdefault(&settings->attributes, &defaults);
  posix_spawnattr_setflags(&settings->attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

absl::StatusOr<pid_t> Spawn(const ChildProcess::Options& options, int ready_fd) {
  std::vector<std::string> words = {options.program};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  if (ready_fd >= 0) words.insert(words.end(), {"--ready-fd", absl::StrCat(kChildReadyFd)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  SpawnSettings settings;
  Configure(options.log_path, ready_fd, &settings);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, options.program.c_str(), &settings.actions, &settings.attributes, argv.data(), environ);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", options.program));
  return pid;
}

}  // namespace

std::string LastLine(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  file.seekg(std::max<std::streamoff>(0, file.tellg() - kMaxTailBytes));
  std::string line, last;
  while (std::getline(file, line)) {
    if (!absl::StripAsciiWhitespace(line).empty()) last = line;
  }
  return last;
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const Options& options) {
  int ends[2] = {-1, -1};
  if (options.reports_ready && pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  const absl::StatusOr<pid_t> pid = Spawn(options, ends[1]);
  if (ends[1] >= 0) close(ends[1]);
  if (!pid.ok()) {
    if (ends[0] >= 0) close(ends[0]);
    return pid.status();
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(options, *pid, ends[0]));
}

ChildProcess::ChildProcess(Options options, pid_t pid, int ready_fd)
    : options_(std::move(options)), pid_(pid), ready_fd_(ready_fd), waiter_([this] { AwaitEnd(); }) {}

ChildProcess::~ChildProcess() {
  Signal(SIGKILL);
  waiter_.join();
  if (ready_fd_ >= 0) close(ready_fd_);
}

// On a thread of its own; throws nothing, since nothing here takes memory.
void ChildProcess::AwaitEnd() {
  siginfo_t info;
  // Leaves the ended child in place: its pid stays its own until it is taken below, under the lock that Signal holds.
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  {
    absl::MutexLock lock(&mu_);
    while (waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
    }
    ended_ = true;
  }
  if (options_.waker != nullptr) options_.waker->Notify();
}

void ChildProcess::Signal(int signal) {
  absl::MutexLock lock(&mu_);
  if (!ended_) kill(pid_, signal);
}

bool ChildProcess::ended() const {
  absl::MutexLock lock(&mu_);
  return ended_;
}

std::string ChildProcess::DescribeEnd() const {
  absl::MutexLock lock(&mu_);
  if (!ended_) return "running";
  if (WIFEXITED(wait_status_)) return absl::StrCat("exit code ", WEXITSTATUS(wait_status_));
  const int signal = WTERMSIG(wait_status_);
  const char* description = sigdescr_np(signal);
  return absl::StrCat("signal ", signal, description == nullptr ? "" : absl::StrCat(" (", description, ")"));
}

absl::StatusOr<std::string> ChildProcess::AwaitReady(absl::Time deadline, const std::function<bool()>& interrupted) {
  Waker own;
  Waker* waker = options_.waker != nullptr ? options_.waker : &own;
  fcntl(ready_fd_, F_SETFL, O_NONBLOCK);
  std::string line;
  while (line.size() < kMaxReadyBytes) {
    char c;
    const ssize_t count = read(ready_fd_, &c, 1);
    if (count == 1 && c == '\n') return line;
    if (count == 1) {
      line += c;
      continue;
    }
    if (count == 0) break;
    if (errno != EAGAIN && errno != EINTR) return absl::ErrnoToStatus(errno, absl::StrCat("cannot hear from ", name()));
    if (interrupted()) return absl::CancelledError("interrupted");
    if (SteadyNow() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(name(), " does not get ready; its log is ", log_path()));
    }
    waker->Wait(deadline, ready_fd_);
  }
  // The pipe is closed a moment before the process has ended.
  while (!ended() && SteadyNow() < deadline) waker->Wait(deadline);
  const std::string last = LastLine(log_path());
  return absl::UnavailableError(absl::StrCat(name(), " ended with ", DescribeEnd(), " before it was ready; its log ",
                                             log_path(),
                                             last.empty() ? " is empty" : absl::StrCat(" ends with: ", last)));
}

}  // namespace samovar
