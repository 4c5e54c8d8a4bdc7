#include "common/remote/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/read_file.h"

namespace samovar {
namespace {

constexpr size_t kMaxOutputBytes = 1 << 20;

// All that comes from the descriptor until its end.
absl::StatusOr<std::string> ReadUntil(int fd, absl::Time end, const std::string& program) {
  std::string output;
  std::array<char, 4096> buffer;
  while (true) {
    const absl::Duration left = end - SteadyNow();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(absl::StrCat(program, " did not end in time, and was killed"));
    }
    pollfd ready = {.fd = fd, .events = POLLIN, .revents = 0};
    const int64_t milliseconds = std::clamp<int64_t>(absl::ToInt64Milliseconds(left) + 1, 1, 1000);
    if (poll(&ready, 1, static_cast<int>(milliseconds)) <= 0) continue;
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "read the output of", program);
    if (count == 0) return output;
    output.append(buffer.data(), static_cast<size_t>(count));
    if (output.size() > kMaxOutputBytes) {
      return absl::ResourceExhaustedError(absl::StrCat(program, " printed more than ", kMaxOutputBytes, " bytes"));
    }
  }
}

}  // namespace

absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& arguments, absl::Duration timeout) {
  const std::string& program = arguments.front();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "start", program);
  const absl::Cleanup close_output = [&] { close(ends[0]); };
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const absl::Cleanup free_actions = [&] { posix_spawn_file_actions_destroy(&actions); };
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  close(ends[1]);
  if (error != 0) return absl::NotFoundError(ErrnoStatus(error, "start", program).message());
  const absl::Time end = SteadyNow() + timeout;
  absl::StatusOr<std::string> output = ReadUntil(ends[0], end, program);
  if (!output.ok()) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!output.ok()) return output;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
  return absl::FailedPreconditionError(WIFEXITED(status)
                                           ? absl::StrCat(program, " ended with code ", WEXITSTATUS(status))
                                           : absl::StrCat(program, " was ended by signal ", WTERMSIG(status)));
}

}  // namespace samovar
