#include "cli/doctor/check_network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/version.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using Level = Finding::Level;

// A socket that listens on a free port of loopback.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(fd_, 1) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { Close(); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  int fd_;
  int port_ = 0;
};

NodeRole RoleAt(const std::string& listen) {
  NodeRole role;
  role.role = "server";
  role.file = "/etc/samovar/server.toml";
  role.listen = listen;
  return role;
}

Resolver Knows(const std::string& host, const std::vector<std::string>& addresses) {
  return [=](const std::string& asked) -> absl::StatusOr<std::vector<std::string>> {
    if (asked != host) return absl::NotFoundError("Name or service not known");
    return addresses;
  };
}

TEST_CASE("a port that another process holds is wrong, and the process is named, but a free one is not") {
  Listener listener;
  const Finding held = CheckPort(RoleAt(listener.address()), "/proc");
  INFO(FindingLine(held));
  CHECK(held.level == Level::kWrong);
  CHECK(absl::StrContains(held.fact, absl::StrCat(listener.address(), " is held by process ", getpid(), " (")));
  CHECK(absl::StrContains(held.todo, "/etc/samovar/server.toml"));
  listener.Close();
  CHECK(CheckPort(RoleAt(listener.address()), "/proc").level == Level::kOk);
}

TEST_CASE("a held port is well where the service runs, and its holder cannot be seen") {
  const Listener listener;
  const TempDir proc;
  CHECK(CheckPort(RoleAt(listener.address()), proc.path()).level == Level::kWrong);
  std::filesystem::create_directories(proc.File("7"));
  std::ofstream(proc.File("7/cmdline")) << "samovar-server" << '\0' << "--config=/etc/samovar/server.toml" << '\0';
  const Finding held = CheckPort(RoleAt(listener.address()), proc.path());
  CHECK(held.level == Level::kOk);
  CHECK(absl::StrContains(held.fact, "process 7, which is the service"));
}

TEST_CASE("an address of another machine, and a name without one, cannot be listened on") {
  // For documentation; no machine has it.
  const Finding other = CheckPort(RoleAt("192.0.2.1:7401"), "/proc");
  CHECK(other.level == Level::kWrong);
  CHECK(other.fact == "192.0.2.1:7401 is no address of this machine");
  const Finding unknown = CheckPort(RoleAt("no-such-host.invalid:7401"), "/proc");
  CHECK(unknown.level == Level::kWrong);
  CHECK(absl::StrContains(unknown.fact, "the name cannot be resolved"));
  CHECK(CheckPort(RoleAt("127.0.0.1:0"), "/proc").level == Level::kOk);
}

TEST_CASE("an own name that leads to this machine alone is a warning, and one that leads nowhere is wrong") {
  CHECK(CheckOwnName("wn1", Knows("wn1", {"10.0.0.5"})).level == Level::kOk);
  CHECK(CheckOwnName("wn1", Knows("wn1", {"127.0.1.1", "10.0.0.5"})).level == Level::kOk);
  const Finding loopback = CheckOwnName("wn1", Knows("wn1", {"127.0.1.1", "::1"}));
  CHECK(loopback.level == Level::kWarning);
  CHECK(loopback.fact == "wn1 is 127.0.1.1, ::1, which only this machine can reach");
  const Finding none = CheckOwnName("wn1", Knows("wn2", {}));
  CHECK(none.level == Level::kWrong);
  CHECK(none.fact == "wn1 cannot be resolved: Name or service not known");
}

TEST_CASE("the coordinator's name must lead somewhere") {
  CHECK(CheckCoordinatorName("hn0:7400", Knows("hn0", {"10.0.0.4"})).fact == "hn0 is 10.0.0.4");
  CHECK(CheckCoordinatorName("hn1:7400", Knows("hn0", {"10.0.0.4"})).level == Level::kWrong);
}

TEST_CASE("a coordinator that does not answer, or is of another release, is wrong, and a silent server is a warning") {
  const std::vector<Finding> gone = CheckCoordinator("hn0:7400", absl::UnavailableError("connection refused"));
  REQUIRE(gone.size() == 1);
  CHECK(gone[0].level == Level::kWrong);
  CHECK(gone[0].fact == "hn0:7400 does not answer: connection refused");

  v1::ClusterStatus status;
  status.set_version(Version());
  status.set_coordinator("10.0.0.4:7400");
  status.add_servers()->set_address("10.0.0.4:7400");
  for (const Finding& finding : CheckCoordinator("hn0:7400", status)) CHECK(finding.level == Level::kOk);
  status.mutable_servers(0)->set_silent_seconds(60);
  CHECK(CheckCoordinator("hn0:7400", status).back().level == Level::kWarning);
  CHECK(CheckCoordinator("hn0:7400", status).back().fact == "10.0.0.4:7400 has been silent for 60 s");
  status.set_version("99.1.0");
  CHECK(CheckCoordinator("hn0:7400", status)[1].level == Level::kWrong);
}

TEST_CASE("clocks that are minutes apart are wrong, either way, and seconds are a warning") {
  CHECK(CheckClockOffset("x", absl::Seconds(1)).level == Level::kOk);
  CHECK(CheckClockOffset("x", absl::ZeroDuration()).fact == "this machine's agrees with that of x");
  const Finding ahead = CheckClockOffset("the coordinator", absl::Seconds(30));
  CHECK(ahead.level == Level::kWarning);
  CHECK(ahead.fact == "this machine's is 30s ahead of that of the coordinator");
  const Finding behind = CheckClockOffset("the coordinator", -absl::Minutes(6));
  CHECK(behind.level == Level::kWrong);
  CHECK(behind.fact == "this machine's is 6m behind that of the coordinator");
}

TEST_CASE("loopback has its address") {
  const auto addresses = ResolveHost("127.0.0.1");
  REQUIRE(addresses.ok());
  CHECK(*addresses == std::vector<std::string>{"127.0.0.1"});
  CHECK_FALSE(ResolveHost("no-such-host.invalid").ok());
}

}  // namespace
}  // namespace samovar
