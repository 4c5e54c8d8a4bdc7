#include "cli/doctor/check_network.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/doctor/processes.h"
#include "common/base/version.h"

namespace samovar {
namespace {

// Azure's storage refuses requests that are a quarter of an hour off, Kerberos those that are five minutes off.
constexpr absl::Duration kWrongOffset = absl::Minutes(4);
constexpr absl::Duration kTolerableOffset = absl::Seconds(10);
// Less is lost in the time that an answer takes.
constexpr absl::Duration kMeasurable = absl::Milliseconds(100);
// Members are heard every second or so.
constexpr double kSilentSeconds = 6;

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// Null: there are none, and `error` says why.
Addresses AddressesOf(const std::string& host, const std::string& port, std::string* error) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), port.empty() ? nullptr : port.c_str(), &hints, &found);
  if (code != 0) *error = code == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(code);
  return {code == 0 ? found : nullptr, &freeaddrinfo};
}

bool IsLoopback(const std::string& address) { return absl::StartsWith(address, "127.") || address == "::1"; }

// Binds a socket to the address for a moment: the error; 0: there is none.
int BindErrno(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const absl::Cleanup close_socket = [fd] { close(fd); };
  // Connections of a process that has ended do not count.
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return bind(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
}

Finding CheckHeldPort(const std::string& what, const NodeRole& role, uint16_t port, const std::string& proc) {
  const std::optional<NodeProcess> holder = FindListener(port, proc);
  const std::optional<NodeProcess> service = FindService(role, ListProcesses(proc));
  if (holder.has_value() ? IsService(role, *holder) : service.has_value()) {
    return Ok(what, absl::StrCat(role.listen, " is held by process ", holder.has_value() ? holder->pid : service->pid,
                                 ", which is the service"));
  }
  if (!holder.has_value()) {
    return Wrong(
        what, absl::StrCat(role.listen, " is held by a process that is not the service"),
        absl::StrCat("run this as root to see which; end it, or choose another port for `listen` in ", role.file));
  }
  return Wrong(
      what,
      absl::StrCat(role.listen, " is held by process ", holder->pid, " (", absl::StrJoin(holder->words, " "), ")"),
      absl::StrCat("end it, or choose another port for `listen` in ", role.file));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ResolveHost(const std::string& host) {
  std::string error;
  const Addresses found = AddressesOf(host, "", &error);
  if (found == nullptr) return absl::NotFoundError(error);
  std::vector<std::string> addresses;
  for (const addrinfo* entry = found.get(); entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST] = {};
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) != 0) continue;
    if (std::find(addresses.begin(), addresses.end(), text) == addresses.end()) addresses.emplace_back(text);
  }
  return addresses;
}

std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

Finding CheckPort(const NodeRole& role, const std::string& proc) {
  const std::string what = absl::StrCat("port of the ", role.role);
  if (absl::StartsWith(role.listen, "unix:")) return Ok(what, absl::StrCat(role.listen, " is a socket in a directory"));
  const std::string text = role.listen.substr(role.listen.rfind(':') + 1);
  uint32_t port = 0;
  if (!absl::SimpleAtoi(text, &port) || port == 0 || port > UINT16_MAX) {
    return Ok(what, absl::StrCat(role.listen, ": the system chooses a free one"));
  }
  std::string error;
  const Addresses addresses = AddressesOf(HostOf(role.listen), text, &error);
  if (addresses == nullptr) {
    return Wrong(what, absl::StrCat(role.listen, ": the name cannot be resolved (", error, ")"),
                 absl::StrCat("give `listen` in ", role.file, " a name or number of this machine"));
  }
  switch (const int code = BindErrno(*addresses)) {
    case 0:
      break;
    case EADDRINUSE:
      return CheckHeldPort(what, role, static_cast<uint16_t>(port), proc);
    case EADDRNOTAVAIL:
      return Wrong(what, absl::StrCat(role.listen, " is no address of this machine"),
                   absl::StrCat("give `listen` in ", role.file, " a name or number of this machine, or 0.0.0.0"));
    default:
      return Wrong(what, absl::StrCat(role.listen, " cannot be listened on: ", std::strerror(code)),
                   absl::StrCat("choose another port for `listen` in ", role.file));
  }
  return Ok(what, absl::StrCat(role.listen, " is free"));
}

absl::Status CheckListens(const std::string& address) {
  std::string error;
  const Addresses addresses = AddressesOf(HostOf(address), address.substr(address.rfind(':') + 1), &error);
  if (addresses == nullptr)
    return absl::NotFoundError(absl::StrCat(address, ": the name cannot be resolved (", error, ")"));
  const int code = BindErrno(*addresses);
  return code == 0 ? absl::OkStatus() : absl::ErrnoToStatus(code, absl::StrCat("cannot listen on ", address));
}

Finding CheckOwnName(const std::string& host, const Resolver& resolve) {
  const std::string what = "own name";
  const absl::StatusOr<std::vector<std::string>> addresses = resolve(host);
  if (!addresses.ok() || addresses->empty()) {
    return Wrong(what,
                 absl::StrCat(host, " cannot be resolved", addresses.ok() ? "" : ": ", addresses.status().message()),
                 "add this machine to the network's DNS, or to /etc/hosts of all machines");
  }
  const std::string list = absl::StrJoin(*addresses, ", ");
  if (std::all_of(addresses->begin(), addresses->end(), IsLoopback)) {
    return Warning(what, absl::StrCat(host, " is ", list, ", which only this machine can reach"),
                   "let servers here listen on a number of this machine or on 0.0.0.0, or mend the name in /etc/hosts");
  }
  return Ok(what, absl::StrCat(host, " is ", list));
}

Finding CheckCoordinatorName(const std::string& address, const Resolver& resolve) {
  const std::string what = "coordinator's name";
  const std::string host = HostOf(address);
  const absl::StatusOr<std::vector<std::string>> addresses = resolve(host);
  if (addresses.ok() && !addresses->empty()) {
    return Ok(what, absl::StrCat(host, " is ", absl::StrJoin(*addresses, ", ")));
  }
  return Wrong(what,
               absl::StrCat(host, " cannot be resolved", addresses.ok() ? "" : ": ", addresses.status().message()),
               "give the name by which the network knows it (hostname -f there), or its number");
}

std::vector<Finding> CheckCoordinator(const std::string& place, const absl::StatusOr<v1::ClusterStatus>& status) {
  if (!status.ok()) {
    return {Wrong("coordinator", absl::StrCat(place, " does not answer: ", status.status().message()),
                  "run samovar doctor on its machine; between the two no firewall may be in the way")};
  }
  std::vector<Finding> findings;
  findings.push_back(
      Ok("coordinator", absl::StrCat(status->coordinator(), " answers, epoch ", status->epoch(), ", ",
                                     status->servers_size(), " servers, ", status->workers_size(), " workers")));
  findings.push_back(FitsVersion(status->version())
                         ? Ok("version", absl::StrCat(Version(), " here, ", status->version(), " at the coordinator"))
                         : Wrong("version",
                                 absl::StrCat(Version(), " here, but ", status->version(), " at the coordinator"),
                                 "install the same release on all machines"));
  for (const v1::ServerStatus& server : status->servers()) {
    if (server.silent_seconds() < kSilentSeconds) continue;
    findings.push_back(
        Warning("server", absl::StrFormat("%s has been silent for %.0f s", server.address(), server.silent_seconds()),
                "run samovar doctor on its machine, or start one that takes its share"));
  }
  return findings;
}

Finding CheckClockOffset(const std::string& other, absl::Duration off) {
  const absl::Duration size = absl::AbsDuration(off);
  const std::string fact =
      absl::StrCat("this machine's is ", absl::FormatDuration(absl::Trunc(size, absl::Milliseconds(100))),
                   off < absl::ZeroDuration() ? " behind" : " ahead of", " that of ", other);
  if (size < kMeasurable) return Ok("clock", absl::StrCat("this machine's agrees with that of ", other));
  const std::string todo = "synchronise both by NTP (timedatectl, chronyc tracking)";
  if (size >= kWrongOffset) return Wrong("clock", fact, todo);
  return size >= kTolerableOffset ? Warning("clock", fact, todo) : Ok("clock", fact);
}

}  // namespace samovar
