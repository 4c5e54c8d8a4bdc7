#include "tests/support/hang_report.h"

#include <dirent.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/debugging/symbolize.h"
#include "absl/strings/numbers.h"

namespace samovar {
namespace {

constexpr int kMostFrames = 48;
constexpr auto kPatience = std::chrono::seconds(2);

// The stack of the thread that was asked last; -1: not there yet.
void* frames[kMostFrames];
std::atomic<int> frame_count = -1;

// No program here uses it otherwise.
int StackSignal() { return SIGRTMIN + 3; }

void TakeStack(int) { frame_count = backtrace(frames, kMostFrames); }

std::vector<pid_t> ThreadsOfThis() {
  std::vector<pid_t> threads;
  DIR* const tasks = opendir("/proc/self/task");
  while (const dirent* entry = tasks == nullptr ? nullptr : readdir(tasks)) {
    pid_t thread = 0;
    if (absl::SimpleAtoi(entry->d_name, &thread)) threads.push_back(thread);
  }
  if (tasks != nullptr) closedir(tasks);
  return threads;
}

void WriteStackOf(pid_t thread) {
  frame_count = -1;
  if (syscall(SYS_tgkill, getpid(), thread, StackSignal()) != 0) return;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (frame_count < 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::fprintf(stderr, "thread %d%s\n", thread, frame_count < 0 ? " does not answer" : "");
  // Above the handler and the signal's frame.
  for (int i = 2; i < frame_count; ++i) {
    char name[512] = "?";
    // The call, not what is behind it.
    absl::Symbolize(static_cast<char*>(frames[i]) - 1, name, sizeof(name));
    std::fprintf(stderr, "    %p %s\n", frames[i], name);
  }
}

void WriteStacks(int seconds) {
  std::fprintf(stderr, "the test still runs after %d seconds; its threads:\n", seconds);
  for (const pid_t thread : ThreadsOfThis()) {
    if (thread != static_cast<pid_t>(syscall(SYS_gettid))) WriteStackOf(thread);
  }
}

}  // namespace

void ReportHangs() {
  const char* const text = std::getenv("SAMOVAR_TEST_SECONDS");
  int seconds = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &seconds)) return;
  absl::InitializeSymbolizer("/proc/self/exe");
  // The first call loads a library, which a handler must not do.
  backtrace(frames, kMostFrames);
  struct sigaction action = {};
  action.sa_handler = TakeStack;
  action.sa_flags = SA_RESTART;
  sigaction(StackSignal(), &action, nullptr);
  // Signals are for the other threads, which block those that tests send.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([seconds] {
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
    WriteStacks(seconds);
    std::abort();
  }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace samovar
