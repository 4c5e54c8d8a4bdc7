#include "common/base/fault_report.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace samovar {
namespace {

// Sanitizers report faults themselves.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kReports = false;
#else
constexpr bool kReports = true;
#endif

// Set once, before there are threads.
const char* g_program = "";
int g_exit_code = 1;

// Taken by the handler that runs first.
std::atomic<void (*)()> g_cleanup = nullptr;

// The file whose contents the library on this thread is at work on; null: none.
thread_local const char* volatile t_file = nullptr;

// All below runs in a signal handler: no memory, no locks, no library but the kernel.

void Say(const char* text) {
  size_t left = std::strlen(text);
  while (left > 0) {
    const ssize_t written = write(STDERR_FILENO, text, left);
    if (written <= 0) return;
    text += written;
    left -= static_cast<size_t>(written);
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint64_t TakeHex(const char** at) {
  uint64_t value = 0;
  for (int digit = HexDigit(**at); digit >= 0; digit = HexDigit(*++*at))
    value = value << 4 | static_cast<uint64_t>(digit);
  return value;
}

// The path in a line of /proc/self/maps, "BEGIN-END rwxp OFFSET DEVICE INODE   PATH", if the address is in it; else
// null.
const char* PathOf(const char* line, uint64_t address) {
  const uint64_t begin = TakeHex(&line);
  if (*line++ != '-') return nullptr;
  const uint64_t end = TakeHex(&line);
  return address >= begin && address < end ? std::strchr(line, '/') : nullptr;
}

// Fills `path` with that of the file which is mapped at the address; false if there is none.
bool FindMapped(uint64_t address, char* path, size_t size) {
  const int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return false;
  char line[4500];
  size_t length = 0;
  char piece[4096];
  bool found = false;
  for (ssize_t got = read(maps, piece, sizeof(piece)); got > 0 && !found; got = read(maps, piece, sizeof(piece))) {
    for (ssize_t i = 0; i < got && !found; ++i) {
      if (piece[i] != '\n') {
        if (length + 1 < sizeof(line)) line[length++] = piece[i];
        continue;
      }
      line[length] = '\0';
      length = 0;
      const char* const mapped = PathOf(line, address);
      if (mapped == nullptr) continue;
      std::strncpy(path, mapped, size - 1);
      path[size - 1] = '\0';
      found = true;
    }
  }
  close(maps);
  return found;
}

void EndWith(const char* file, const char* what) {
  Say(g_program);
  Say(": error: ");
  Say(file);
  Say(what);
  _exit(g_exit_code);
}

void CleanUp() {
  if (void (*const cleanup)() = g_cleanup.exchange(nullptr); cleanup != nullptr) cleanup();
}

void OnEnd(int signal_number) {
  CleanUp();
  // The handler is gone (SA_RESETHAND), and the signal ends the process when this one returns.
  raise(signal_number);
}

void OnFault(int signal_number, siginfo_t* info, void*) {
  CleanUp();
  if (t_file != nullptr)
    EndWith(t_file, ": is damaged in a way that the library for files of its kind does not survive; restore it\n");
  char path[4096];
  if (signal_number == SIGBUS && FindMapped(reinterpret_cast<uint64_t>(info->si_addr), path, sizeof(path))) {
    EndWith(path,
            ": cannot be read where it is mapped; it was cut while it was in use, or its disk is full or failing\n");
  }
  // The handler is gone (SA_RESETHAND): the instruction faults again, as if there had been none. A signal that a
  // process has sent does not come again by itself.
  if (info->si_code <= 0) raise(signal_number);
}

}  // namespace

void ReportFaults(const char* program, int exit_code) {
  if (!kReports) return;
  g_program = program;
  g_exit_code = exit_code;
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_RESETHAND;
  sigaction(SIGBUS, &action, nullptr);
  sigaction(SIGSEGV, &action, nullptr);
}

void SetFaultCleanup(void (*cleanup)()) {
  g_cleanup = cleanup;
  struct sigaction action = {};
  action.sa_handler = cleanup != nullptr ? OnEnd : SIG_DFL;
  action.sa_flags = cleanup != nullptr ? SA_RESETHAND : 0;
  sigaction(SIGABRT, &action, nullptr);
  sigaction(SIGQUIT, &action, nullptr);
}

FaultContext::FaultContext(const std::string& file) { t_file = file.c_str(); }
FaultContext::~FaultContext() { t_file = nullptr; }

}  // namespace samovar
