#include "cli/run/local_cluster.h"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/clock.h"
#include "common/base/memory_limit.h"
#include "tests/cli/script.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);
// A process that is started again has no descriptor to report on.
constexpr char kReadyServer[] = "case \"$*\" in *--ready-fd*) echo 127.0.0.1:7100 >&3; exec 3>&-;; esac\n";
constexpr char kReadyWorker[] = "case \"$*\" in *--ready-fd*) echo ok >&3; exec 3>&-;; esac\n";

// Clusters of scripts that write their arguments and process numbers to the log.
class ScriptCluster {
 public:
  ScriptCluster(const std::string& server, const std::string& worker) {
    WriteScript(dir_.File("samovar-server"), absl::StrCat("echo \"$*\"; echo pid $$\n", server));
    WriteScript(dir_.File("samovar-worker"), absl::StrCat("echo \"$*\"; echo pid $$\n", worker));
    std::filesystem::create_directories(dir_.File("logs"));
    options_.program_dir = dir_.path();
    options_.state_dir = dir_.path();
    options_.servers = 2;
    options_.workers = 2;
    options_.waker = &waker_;
    options_.interrupted = [] { return false; };
    options_.on_event = [this](const std::string& text) { events_.push_back(text); };
  }

  absl::Status Start() {
    auto cluster = LocalCluster::Start(options_);
    if (cluster.ok()) cluster_ = *std::move(cluster);
    return cluster.status();
  }

  // Supervises until that many events were told, or an error. The cluster's clock jumps to each restart.
  absl::Status SuperviseUntil(size_t events, uint64_t progress = 0) {
    const absl::Time deadline = SteadyNow() + kLong;
    while (SteadyNow() < deadline) {
      const absl::Status status = cluster_->Supervise(now_, progress);
      if (!status.ok() || events_.size() >= events) return status;
      if (cluster_->next_restart() < absl::InfiniteFuture()) {
        now_ = cluster_->next_restart();
      } else {
        waker_.Wait(deadline);
      }
    }
    return absl::DeadlineExceededError("too few events");
  }

  std::vector<std::string> Log(const std::string& process) const {
    std::ifstream file(dir_.File(absl::StrCat("logs/", process, ".log")));
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    return absl::StrSplit(text, '\n');
  }

  // The line of that number, from 0, as soon as there is a whole one.
  std::string AwaitLine(const std::string& process, size_t number) {
    const absl::Time deadline = SteadyNow() + kLong;
    while (Log(process).size() < number + 2 && SteadyNow() < deadline)
      waker_.Wait(SteadyNow() + absl::Milliseconds(10));
    return Log(process).at(number);
  }

  pid_t PidOf(const std::string& process) const { return std::stoi(Log(process).at(1).substr(4)); }

  LocalCluster::Options& options() { return options_; }
  LocalCluster* operator->() { return cluster_.get(); }
  const std::vector<std::string>& events() const { return events_; }

 private:
  TempDir dir_;
  Waker waker_;
  std::vector<std::string> events_;
  absl::Time now_ = SteadyNow();
  LocalCluster::Options options_;
  std::unique_ptr<LocalCluster> cluster_;
};

}  // namespace

TEST_CASE("a cluster starts its coordinator first and tells the others where it is") {
  ScriptCluster cluster(absl::StrCat(kReadyServer, kStay), absl::StrCat(kReadyWorker, kStay));
  REQUIRE_OK(cluster.Start());
  CHECK(cluster->coordinator() == "127.0.0.1:7100");
  CHECK(absl::StrContains(cluster.Log("server-0").front(), "--coordinator"));
  CHECK(absl::StrContains(cluster.Log("server-0").front(), "/server-0 "));
  CHECK(absl::StrContains(cluster.Log("server-1").front(), "--join 127.0.0.1:7100"));
  CHECK(absl::StrContains(cluster.Log("worker-1").front(), "--coordinator 127.0.0.1:7100 --name worker-1"));
  for (const char* process : {"server-0", "server-1", "worker-0", "worker-1"}) {
    CHECK(absl::StrContains(cluster.Log(process).front(), "--die-with-parent"));
  }
  CHECK(cluster->next_restart() == absl::InfiniteFuture());
}

TEST_CASE("only the coordinator serves pages, if any are wanted, and the same place after it was started again") {
  ScriptCluster plain(absl::StrCat(kReadyServer, kStay), absl::StrCat(kReadyWorker, kStay));
  REQUIRE_OK(plain.Start());
  CHECK(absl::StrContains(plain.Log("server-0").front(), "--http none"));

  ScriptCluster cluster(absl::StrCat(kReadyServer, kStay), absl::StrCat(kReadyWorker, kStay));
  cluster.options().dashboard = "127.0.0.1:0";
  REQUIRE_OK(cluster.Start());
  CHECK(absl::StrContains(cluster.Log("server-0").front(), "--http 127.0.0.1:0"));
  for (const char* process : {"server-1", "worker-0", "worker-1"}) {
    CHECK(absl::StrContains(cluster.Log(process).front(), "--http none"));
  }
  cluster->KeepDashboard("127.0.0.1:7180");
  kill(cluster.PidOf("server-0"), SIGKILL);
  REQUIRE_OK(cluster.SuperviseUntil(1));
  REQUIRE_OK(cluster->Supervise(cluster->next_restart(), 0));
  CHECK(absl::StrContains(cluster.AwaitLine("server-0", 2), "--http 127.0.0.1:7180"));
}

TEST_CASE("the servers of a cluster share what one of them would take of this machine's memory") {
  ScriptCluster cluster(kReadyServer, kReadyWorker);
  REQUIRE_OK(cluster.Start());
  const uint64_t share = MemoryLimitBytes() / 4 * 3 / 2 >> 20;
  for (const char* server : {"server-0", "server-1"}) {
    REQUIRE_THAT(cluster.Log(server).front(), Catch::Contains(absl::StrCat("--parameter-memory ", share, " ")));
  }
}

TEST_CASE("shutting a cluster down leaves no process behind") {
  ScriptCluster cluster(absl::StrCat(kReadyServer, kStay), absl::StrCat(kReadyWorker, kStay));
  REQUIRE_OK(cluster.Start());
  const std::vector<pid_t> pids = {cluster.PidOf("server-0"), cluster.PidOf("server-1"), cluster.PidOf("worker-0"),
                                   cluster.PidOf("worker-1")};
  for (pid_t pid : pids) CHECK(kill(pid, 0) == 0);
  cluster->Shutdown([] { return false; });
  for (pid_t pid : pids) CHECK(kill(pid, 0) != 0);
}

TEST_CASE("processes that do not care for SIGTERM are killed when the user is out of patience") {
  const std::string deaf = "trap '' TERM\n";
  ScriptCluster cluster(absl::StrCat(deaf, kReadyServer, kStay), absl::StrCat(deaf, kReadyWorker, kStay));
  cluster.options().end_timeout = absl::InfiniteDuration();
  REQUIRE_OK(cluster.Start());
  const pid_t server = cluster.PidOf("server-0");
  cluster->Shutdown([] { return true; });
  CHECK(kill(server, 0) != 0);
}

TEST_CASE("a worker that dies is started again under its name") {
  ScriptCluster cluster(absl::StrCat(kReadyServer, kStay), absl::StrCat(kReadyWorker, kStay));
  REQUIRE_OK(cluster.Start());
  const pid_t first = cluster.PidOf("worker-0");
  kill(first, SIGKILL);
  REQUIRE_OK(cluster.SuperviseUntil(1));
  REQUIRE(cluster.events().size() == 1);
  CHECK(absl::StrContains(cluster.events()[0], "worker-0"));
  CHECK(absl::StrContains(cluster.events()[0], "signal 9 (Killed)"));
  CHECK(absl::StrContains(cluster.events()[0], "starting it again in"));
  CHECK(cluster->next_restart() < absl::InfiniteFuture());
  REQUIRE_OK(cluster->Supervise(cluster->next_restart(), 0));
  CHECK(cluster->next_restart() == absl::InfiniteFuture());
  REQUIRE_OK(cluster->Supervise(SteadyNow(), 0));
}

TEST_CASE("workers that die again and again while nothing gets done fail the run") {
  // The first life is long enough to join; each later one ends at once.
  ScriptCluster cluster(absl::StrCat(kReadyServer, kStay),
                        absl::StrCat(kReadyWorker, "echo 'cannot compute'; exit 3\n"));
  cluster.options().max_deaths = 4;
  REQUIRE_OK(cluster.Start());
  const absl::Status status = cluster.SuperviseUntil(100);
  REQUIRE_STATUS(status, absl::StatusCode::kUnavailable, "died 4 times while the job got nowhere");
  REQUIRE_STATUS(status, absl::StatusCode::kUnavailable, "exit code 3");
  REQUIRE_STATUS(status, absl::StatusCode::kUnavailable, "ends with: cannot compute");
}

TEST_CASE("workers may die as often as they like while the job gets on") {
  ScriptCluster cluster(absl::StrCat(kReadyServer, kStay), absl::StrCat(kReadyWorker, "exit 3\n"));
  cluster.options().max_deaths = 3;
  REQUIRE_OK(cluster.Start());
  for (uint64_t progress = 1; progress <= 8; ++progress) REQUIRE_OK(cluster.SuperviseUntil(progress, progress));
}

TEST_CASE("a server that dies is started again with its state and on its port, the coordinator with its jobs") {
  ScriptCluster cluster(absl::StrCat(kReadyServer, kStay), absl::StrCat(kReadyWorker, kStay));
  REQUIRE_OK(cluster.Start());
  const std::string name = GENERATE("server-0", "server-1");
  const std::vector<std::string> before = cluster.Log(name);
  kill(cluster.PidOf(name), SIGKILL);
  REQUIRE_OK(cluster.SuperviseUntil(1));
  REQUIRE(cluster.events().size() == 1);
  CHECK(absl::StrContains(cluster.events()[0], name));
  CHECK(absl::StrContains(cluster.events()[0], "signal 9 (Killed)"));
  REQUIRE_OK(cluster->Supervise(cluster->next_restart(), 0));
  CHECK(cluster->next_restart() == absl::InfiniteFuture());
  const std::string again = cluster.AwaitLine(name, 2);
  CHECK(absl::StrContains(again, "--listen 127.0.0.1:7100 "));
  CHECK(absl::StrContains(again, absl::StrCat("/", name, " ")));
  CHECK(absl::StrContains(before.front(), "--forget-jobs") == (name == "server-0"));
  CHECK_FALSE(absl::StrContains(again, "--forget-jobs"));
}

TEST_CASE("servers that die again and again while nothing gets done fail the run") {
  ScriptCluster cluster(absl::StrCat(kReadyServer, "exit 4\n"), absl::StrCat(kReadyWorker, kStay));
  cluster.options().max_deaths = 5;
  REQUIRE_OK(cluster.Start());
  const absl::Status status = cluster.SuperviseUntil(100);
  REQUIRE_STATUS(status, absl::StatusCode::kUnavailable, "died 5 times while the job got nowhere");
  REQUIRE_STATUS(status, absl::StatusCode::kUnavailable, "exit code 4");
}

TEST_CASE("a server that does not start is an error that quotes its log") {
  ScriptCluster cluster("echo 'address in use' >&2; exit 1\n", absl::StrCat(kReadyWorker, kStay));
  REQUIRE_STATUS(cluster.Start(), absl::StatusCode::kUnavailable, "address in use");
}

TEST_CASE("a start that the user interrupts leaves no process behind") {
  ScriptCluster cluster(absl::StrCat(kReadyServer, kStay), kStay);
  cluster.options().interrupted = [&] {
    // A signal would wake the wait, too.
    cluster.options().waker->Notify();
    return cluster.Log("server-0").size() > 2;
  };
  CHECK(absl::IsCancelled(cluster.Start()));
  const pid_t server = cluster.PidOf("server-0");
  CHECK(kill(server, 0) != 0);
}

}  // namespace samovar
