#include "cli/doctor/processes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using std::string_literals::operator""s;

// A directory of /proc's form.
class FakeProc {
 public:
  void Add(int pid, const std::string& command_line) {
    std::filesystem::create_directories(Path(pid, "fd"));
    Write(Path(pid, "cmdline"), command_line);
  }
  void Write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  std::string Path(int pid, const std::string& name) const { return dir_.File(absl::StrCat(pid, "/", name)); }
  const std::string& path() const { return dir_.path(); }

 private:
  const TempDir dir_;
};

NodeRole ServerRole() {
  NodeRole role;
  role.role = "server";
  role.file = "/etc/samovar/server.toml";
  return role;
}

TEST_CASE("a service is found by its program and its configuration, also where the bundle's loader runs it") {
  FakeProc proc;
  proc.Add(10, "/usr/bin/samovar-server\0--config\0/etc/samovar/coordinator.toml\0"s);
  proc.Add(11, "vi\0/etc/samovar/server.toml\0"s);
  CHECK_FALSE(FindService(ServerRole(), ListProcesses(proc.path())).has_value());
  proc.Add(12,
           "/opt/samovar/x/lib/ld-linux-x86-64.so.2\0--library-path\0/opt/x/lib\0/opt/x/libexec/samovar-server\0"
           "--config\0/etc/samovar/server.toml\0"s);
  const auto found = FindService(ServerRole(), ListProcesses(proc.path()));
  REQUIRE(found.has_value());
  CHECK(found->pid == 12);
  // A worker with the same file is none.
  proc.Write(proc.Path(12, "cmdline"), "samovar-worker\0--config=/etc/samovar/server.toml\0"s);
  CHECK_FALSE(FindService(ServerRole(), ListProcesses(proc.path())).has_value());
  proc.Write(proc.Path(12, "cmdline"), "samovar-server\0--config=/etc/samovar/server.toml\0"s);
  CHECK(FindService(ServerRole(), ListProcesses(proc.path())).has_value());
}

TEST_CASE("the process that listens on a port is found by its socket, and one that is connected to it is not") {
  FakeProc proc;
  const std::string head =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  // 7401 is 1CE9.
  proc.Write(proc.path() + "/self/net/tcp",
             head +
                 "   0: 0100007F:1CE9 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 501 1\n" +
                 "   1: 0100007F:1CE8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 502 1\n");
  proc.Add(20, "java\0Server\0"s);
  std::filesystem::create_symlink("socket:[501]", proc.Path(20, "fd/4"));
  std::filesystem::create_symlink("socket:[503]", proc.Path(20, "fd/5"));
  CHECK_FALSE(FindListener(7401, proc.path()).has_value());
  proc.Write(
      proc.path() + "/self/net/tcp6",
      head +
          "   0: 00000000000000000000000000000000:1CE9 00000000000000000000000000000000:0000 0A 00000000:00000000 "
          "00:00000000 00000000     0        0 503 1\n");
  const auto found = FindListener(7401, proc.path());
  REQUIRE(found.has_value());
  CHECK(found->pid == 20);
  CHECK(found->words.front() == "java");
}

TEST_CASE("this process is found in the real /proc by a socket of its own, with its limit of files") {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(fd, 1) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const auto found = FindListener(ntohs(address.sin_port), "/proc");
  close(fd);
  REQUIRE(found.has_value());
  CHECK(found->pid == getpid());
  rlimit files{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
  CHECK(OpenFilesOf(getpid(), "/proc") == files.rlim_max);
  CHECK_FALSE(OpenFilesOf(0, "/proc").has_value());
}

TEST_CASE("the hard limit of open files is read") {
  FakeProc proc;
  proc.Write(proc.Path(5, "limits"),
             "Limit                     Soft Limit           Hard Limit           Units     \n"
             "Max processes             100                  200                  processes \n"
             "Max open files            1024                 65536                files     \n");
  CHECK(OpenFilesOf(5, proc.path()) == 65536u);
}

}  // namespace
}  // namespace samovar
