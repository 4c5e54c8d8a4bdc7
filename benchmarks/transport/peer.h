// Peer is another system, a program that does exchanges when it is told to: it reads "push BYTES SECONDS" or "pull
// BYTES SECONDS" from its standard input, repeats that exchange for so long, and answers "CALLS SECONDS CPU_SECONDS".
//
// Thread safety: none.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace samovar {

class Peer {
 public:
  struct Answer {
    double calls = 0;
    double seconds = 0;
    // Of all its processes.
    double cpu_seconds = 0;
  };

  // Runs the command in a shell.
  static absl::StatusOr<std::unique_ptr<Peer>> Start(const std::string& command);
  // Ends its input, and waits for its end, five seconds at most.
  ~Peer();

  absl::StatusOr<Answer> Do(const std::string& kind, uint64_t bytes, double seconds);

 private:
  Peer() = default;

  pid_t pid_ = 0;
  FILE* orders_ = nullptr;
  FILE* answers_ = nullptr;
};

}  // namespace samovar
