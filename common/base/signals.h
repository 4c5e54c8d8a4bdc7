// SignalWatcher turns SIGINT and SIGTERM, and SIGHUP where it is asked to, into a call on an ordinary thread.
//
// Create it at the start of main, before any other thread exists: threads started later inherit the blocked signals, so
// that only the watcher's thread takes them. SIGPIPE is ignored from then on: a peer that has gone shows as an error of
// the write.
#pragma once

#include <functional>
#include <thread>

namespace samovar {

class SignalWatcher {
 public:
  // on_signal(number) is called on the watcher's thread for each signal that arrives. If it throws, the exception is
  // printed on stderr, and it is called again after a moment: a signal is not lost for want of memory. Without
  // `hangups` SIGHUP ends the process, as it does any other.
  explicit SignalWatcher(std::function<void(int signal)> on_signal, bool hangups = false);
  // Joins the thread; a call in progress is finished first.
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  std::thread thread_;
};

}  // namespace samovar
