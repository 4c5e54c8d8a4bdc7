// ChildProcess is a process of ours that another program runs in: its start, its readiness, its end.
//
// The child has its own process group, so that Ctrl-C at the terminal reaches the parent alone, which ends its children
// in order. It reads nothing, and writes stdout and stderr to its log. It starts with no signal blocked.
//
// Thread safety: all methods may be called from any thread, but Start should run on a thread that lives as long as the
// process: --die-with-parent ends the child when the thread that started it ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cli/run/waker.h"

namespace samovar {

class ChildProcess {
 public:
  struct Options {
    // For people: "server-0".
    std::string name;
    // Path of the program, and its arguments without argv[0].
    std::string program;
    std::vector<std::string> arguments;
    // The child is given "--ready-fd FD" behind its arguments, and writes a line there when it is ready.
    bool reports_ready = false;
    // Appended to; made if it does not exist.
    std::string log_path;
    // Notified when the child ends. Outlives the object. May be null.
    Waker* waker = nullptr;
  };

  // NOT_FOUND: no such program.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const Options& options);
  // Kills the child if it runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  const std::string& name() const { return options_.name; }
  const std::string& log_path() const { return options_.log_path; }
  pid_t pid() const { return pid_; }

  // Blocks until the child has reported that it is ready, and returns its line, without the newline. UNAVAILABLE: it
  // ended before, the message says how and ends with the last lines of its log; DEADLINE_EXCEEDED: not ready by the
  // deadline (clock.h); CANCELLED: `interrupted` returned true, which is asked whenever the waker wakes. REQUIRES:
  // reports_ready, called once.
  absl::StatusOr<std::string> AwaitReady(absl::Time deadline, const std::function<bool()>& interrupted);

  // Does nothing once the child has ended: its pid may be another process's by then.
  void Signal(int signal);

  bool ended() const;
  // How the child ended: "exit code 1", "signal 9 (Killed)". "running" before that.
  std::string DescribeEnd() const;

 private:
  ChildProcess(Options options, pid_t pid, int ready_fd);
  void AwaitEnd();

  const Options options_;
  const pid_t pid_;
  // Read end of the pipe; -1 if there is none (any more).
  int ready_fd_;
  mutable absl::Mutex mu_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  // As waitpid gives it.
  int wait_status_ ABSL_GUARDED_BY(mu_) = 0;
  // Waits for the child's end.
  std::thread waiter_;
};

// The last line of the file that says something; empty if there is none.
std::string LastLine(const std::string& path);

}  // namespace samovar
