// RawTcp is the yardstick: a process that takes and gives bytes over plain TCP on loopback, and the client that drives
// it.
//
// Thread safety: one thread at a time for each connection.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace samovar {

class RawTcp {
 public:
  // Forks the other end: call before any thread is started. Ends the program if it cannot.
  static constexpr int kConnections = 4;

  RawTcp();
  // Ends the other end.
  ~RawTcp();
  RawTcp(const RawTcp&) = delete;
  RawTcp& operator=(const RawTcp&) = delete;

  pid_t pid() const { return pid_; }

  // Sends `bytes` over one of the connections, and waits for an answer of a byte.
  void Push(int connection, uint64_t bytes);
  // Asks for `bytes` on the connection, and takes them.
  void Pull(int connection, uint64_t bytes);

 private:
  pid_t pid_ = -1;
  std::vector<int> sockets_;
  std::vector<std::vector<char>> memory_;
};

}  // namespace samovar
