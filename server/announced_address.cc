#include "server/announced_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// The host in "host:port" or "[host]:port".
std::string HostOf(absl::string_view address) {
  absl::string_view host = address.substr(0, address.rfind(':'));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return std::string(host);
}

// UNAVAILABLE: the host is not known.
absl::StatusOr<Addresses> Resolve(const std::string& host, const char* port, int flags) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port, &hints, &found); error != 0) {
    return absl::UnavailableError(absl::StrCat("\"", host, "\" cannot be looked up: ", gai_strerror(error)));
  }
  return Addresses(found, &freeaddrinfo);
}

// A datagram socket that is connected has a route, and so an address of its own; nothing is sent.
absl::StatusOr<std::string> LocalHost(const addrinfo& there) {
  const int fd = socket(there.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::UnavailableError(std::strerror(errno));
  sockaddr_storage own = {};
  socklen_t size = sizeof(own);
  const bool routed = connect(fd, there.ai_addr, there.ai_addrlen) == 0 &&
                      getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  const int error = errno;
  close(fd);
  if (!routed) return absl::UnavailableError(std::strerror(error));
  char host[NI_MAXHOST];
  if (const int failure =
          getnameinfo(reinterpret_cast<sockaddr*>(&own), size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
      failure != 0) {
    return absl::UnavailableError(gai_strerror(failure));
  }
  return own.ss_family == AF_INET6 ? absl::StrCat("[", host, "]") : std::string(host);
}

}  // namespace

bool ListensEverywhere(const std::string& address) {
  const absl::StatusOr<Addresses> number = Resolve(HostOf(address), nullptr, AI_NUMERICHOST);
  if (!number.ok()) return false;
  const sockaddr* socket_address = (*number)->ai_addr;
  if (socket_address->sa_family == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(socket_address)->sin_addr.s_addr == INADDR_ANY;
  return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(socket_address)->sin6_addr);
}

absl::StatusOr<std::string> HostTowards(const std::string& address) {
  // The port does not matter to the route, but must be one.
  SAMOVAR_ASSIGN_OR_RETURN(const Addresses addresses, Resolve(HostOf(address), "7400", 0));
  absl::Status failure;
  for (const addrinfo* there = addresses.get(); there != nullptr; there = there->ai_next) {
    absl::StatusOr<std::string> host = LocalHost(*there);
    if (host.ok()) return host;
    failure = host.status();
  }
  return absl::UnavailableError(absl::StrCat("no route leads to ", address, ": ", failure.message()));
}

}  // namespace samovar
