#include "common/base/fault_report.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// How a process ends that runs `body`, as waitpid tells it, and what it says on stderr.
std::pair<int, std::string> EndOf(const std::function<void()>& body) {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipe_ends[1], STDERR_FILENO);
    // Catch's own handlers would tell the fault as a failed test.
    std::signal(SIGSEGV, SIG_DFL);
    std::signal(SIGBUS, SIG_DFL);
    body();
    _exit(0);
  }
  close(pipe_ends[1]);
  std::string said;
  char piece[512];
  for (ssize_t got = read(pipe_ends[0], piece, sizeof(piece)); got > 0;
       got = read(pipe_ends[0], piece, sizeof(piece))) {
    said.append(piece, static_cast<size_t>(got));
  }
  close(pipe_ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return {status, said};
}

// Reads what nobody may read.
void Fault() {
  volatile const char* const closed =
      static_cast<const char*>(mmap(nullptr, 1 << 12, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  (void)*closed;
}

}  // namespace

TEST_CASE("a process that reads a mapped file which was cut ends with its name and a code, not by a bare signal") {
  const TempDir directory;
  const std::string path = directory.File("data.mdb");
  std::ofstream(path) << std::string(3 << 12, 'x');
  const auto [status, said] = EndOf([&] {
    ReportFaults("program", 7);
    const int file = open(path.c_str(), O_RDWR);
    const char* const mapped = static_cast<const char*>(mmap(nullptr, 3 << 12, PROT_READ, MAP_SHARED, file, 0));
    if (ftruncate(file, 1 << 12) != 0) _exit(1);
    volatile const char* const cut = mapped + (2 << 12);
    (void)*cut;
  });
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
  CHECK_THAT(said, Catch::StartsWith("program: error: " + path + ": cannot be read where it is mapped; it was cut"));
}

TEST_CASE(
    "a fault inside a library that reads a file is told as that file's, and any other fault ends a process as before") {
  const auto [told, said] = EndOf([] {
    ReportFaults("program", 7);
    const std::string path = "/data/train.h5";
    const FaultContext context(path);
    Fault();
  });
  REQUIRE(WIFEXITED(told));
  CHECK(WEXITSTATUS(told) == 7);
  CHECK_THAT(said, Catch::StartsWith("program: error: /data/train.h5: is damaged"));
  const auto [other, silence] = EndOf([] {
    ReportFaults("program", 7);
    {
      const std::string path = "/data/train.h5";
      const FaultContext context(path);
    }
    Fault();
  });
  REQUIRE(WIFSIGNALED(other));
  CHECK(WTERMSIG(other) == SIGSEGV);
  CHECK(silence.empty());
}

}  // namespace samovar

#endif
