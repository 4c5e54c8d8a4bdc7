#include "benchmarks/transport/raw_tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace samovar {
namespace {

constexpr size_t kPiece = 1 << 20;

// The requests of one end to the other.
struct Order {
  uint64_t bytes;
  uint64_t push;
};

void Require(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::exit(1);
}

bool SendAll(int socket, const char* data, uint64_t bytes) {
  while (bytes > 0) {
    const ssize_t sent = send(socket, data, std::min<uint64_t>(bytes, kPiece), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes -= static_cast<uint64_t>(sent);
  }
  return true;
}

bool ReceiveAll(int socket, char* data, uint64_t bytes) {
  while (bytes > 0) {
    const ssize_t got = recv(socket, data, std::min<uint64_t>(bytes, kPiece), 0);
    if (got <= 0) return false;
    bytes -= static_cast<uint64_t>(got);
  }
  return true;
}

// The other end of one connection, until it is closed.
void Serve(int socket) {
  std::vector<char> memory(kPiece);
  Order order;
  while (recv(socket, &order, sizeof(order), MSG_WAITALL) == sizeof(order)) {
    const bool done = order.push != 0
                          ? ReceiveAll(socket, memory.data(), order.bytes) && SendAll(socket, memory.data(), 1)
                          : SendAll(socket, memory.data(), order.bytes);
    if (!done) return;
  }
}

void SendOrder(int socket, uint64_t bytes, bool push) {
  const Order order = {bytes, push ? 1u : 0u};
  Require(SendAll(socket, reinterpret_cast<const char*>(&order), sizeof(order)), "send");
}

[[noreturn]] void ServeAll(int listener) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::vector<std::thread> threads;
  for (int i = 0; i < RawTcp::kConnections; ++i) {
    const int socket = accept(listener, nullptr, nullptr);
    Require(socket >= 0, "accept");
    const int yes = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    threads.emplace_back(Serve, socket);
  }
  for (std::thread& thread : threads) thread.join();
  _exit(0);
}

}  // namespace

RawTcp::RawTcp() : memory_(kConnections, std::vector<char>(kPiece)) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  Require(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
              listen(listener, RawTcp::kConnections) == 0 &&
              getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0,
          "listen");
  pid_ = fork();
  Require(pid_ >= 0, "fork");
  if (pid_ == 0) ServeAll(listener);
  close(listener);
  for (int i = 0; i < kConnections; ++i) {
    sockets_.push_back(socket(AF_INET, SOCK_STREAM, 0));
    Require(connect(sockets_.back(), reinterpret_cast<sockaddr*>(&address), length) == 0, "connect");
    const int yes = 1;
    setsockopt(sockets_.back(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  }
}

RawTcp::~RawTcp() {
  for (int socket : sockets_) close(socket);
  waitpid(pid_, nullptr, 0);
}

void RawTcp::Push(int connection, uint64_t bytes) {
  const size_t i = static_cast<size_t>(connection);
  SendOrder(sockets_[i], bytes, /*push=*/true);
  Require(SendAll(sockets_[i], memory_[i].data(), bytes) && ReceiveAll(sockets_[i], memory_[i].data(), 1), "push");
}

void RawTcp::Pull(int connection, uint64_t bytes) {
  const size_t i = static_cast<size_t>(connection);
  SendOrder(sockets_[i], bytes, /*push=*/false);
  Require(ReceiveAll(sockets_[i], memory_[i].data(), bytes), "pull");
}

}  // namespace samovar
