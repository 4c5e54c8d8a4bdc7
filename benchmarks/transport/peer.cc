#include "benchmarks/transport/peer.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace samovar {

absl::StatusOr<std::unique_ptr<Peer>> Peer::Start(const std::string& command) {
  int orders[2];
  int answers[2];
  if (pipe(orders) != 0 || pipe(answers) != 0) return absl::ErrnoToStatus(errno, "pipe");
  std::unique_ptr<Peer> peer(new Peer());
  peer->pid_ = fork();
  if (peer->pid_ < 0) return absl::ErrnoToStatus(errno, "fork");
  if (peer->pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(orders[0], STDIN_FILENO);
    dup2(answers[1], STDOUT_FILENO);
    for (const int fd : {orders[0], orders[1], answers[0], answers[1]}) close(fd);
    execl("/bin/sh", "sh", "-c", absl::StrCat("exec ", command).c_str(), nullptr);
    _exit(127);
  }
  close(orders[0]);
  close(answers[1]);
  peer->orders_ = fdopen(orders[1], "w");
  peer->answers_ = fdopen(answers[0], "r");
  return peer;
}

Peer::~Peer() {
  if (orders_ != nullptr) fclose(orders_);
  if (answers_ != nullptr) fclose(answers_);
  if (pid_ <= 0) return;
  for (int i = 0; i < 100; ++i) {
    if (waitpid(pid_, nullptr, WNOHANG) != 0) return;
    usleep(50'000);
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

absl::StatusOr<Peer::Answer> Peer::Do(const std::string& kind, uint64_t bytes, double seconds) {
  Answer answer;
  if (std::fprintf(orders_, "%s %lu %f\n", kind.c_str(), bytes, seconds) < 0 || std::fflush(orders_) != 0 ||
      std::fscanf(answers_, "%lf %lf %lf", &answer.calls, &answer.seconds, &answer.cpu_seconds) != 3 ||
      answer.seconds <= 0) {
    return absl::UnavailableError("--peer has ended, or its answer is not CALLS SECONDS CPU_SECONDS");
  }
  return answer;
}

}  // namespace samovar
