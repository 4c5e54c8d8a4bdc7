#include "cli/run/watch_cluster.h"

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/report/cluster_news.h"
#include "cli/report/exit_codes.h"
#include "cli/report/progress.h"
#include "cli/run/cluster_poller.h"
#include "cli/run/follow_job.h"
#include "cli/terminal/screen.h"
#include "cli/terminal/views.h"
#include "common/base/clock.h"
#include "common/rpc/proto_json.h"

namespace samovar {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(250);
// A coordinator that is started again is back by then.
constexpr absl::Duration kPatience = absl::Minutes(1);

std::string TroubleText(const ClusterPoller& poller, const JobClient& client) {
  const absl::Duration silence = poller.Silence();
  if (silence < kCoordinatorSilence) return "";
  return absl::StrCat("no news for ", FormatDuration(absl::ToDoubleSeconds(silence)), " from the coordinator at ",
                      client.address());
}

// Writes lines, or JSON.
class ClusterLog {
 public:
  explicit ClusterLog(bool json) : json_(json) {}

  void Take(const v1::ClusterStatus& cluster) {
    silent_ = false;
    if (json_) {
      const absl::StatusOr<std::string> json = ToJsonLine(cluster);
      if (json.ok()) std::cout << *json << std::endl;
      return;
    }
    for (const std::string& line : news_.Take(cluster)) Write(line);
  }

  void Silent(const std::string& trouble) {
    if (trouble.empty() || std::exchange(silent_, true)) return;
    // Each line of JSON is a whole status.
    json_ ? PrintWarning(trouble) : Write(absl::StrCat("problem: ", trouble));
  }

 private:
  void Write(const std::string& line) {
    std::cout << absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::Now(), absl::LocalTimeZone()) << "  " << line << std::endl;
  }

  const bool json_;
  ClusterNews news_;
  bool silent_ = false;
};

}  // namespace

int WatchCluster(const JobClient& client, ClusterShow show, Waker* waker, const Interruption& interruption) {
  std::unique_ptr<Screen> screen;
  if (show == ClusterShow::kView) {
    absl::StatusOr<std::unique_ptr<Screen>> opened = Screen::Open();
    if (opened.ok()) screen = *std::move(opened);
  }
  ClusterLog log(show == ClusterShow::kJson);
  ClusterViewData data;
  ViewState state;
  ClusterPoller poller(client.coordinator(), {}, waker);
  while (interruption.signal() == 0) {
    const std::string trouble = TroubleText(poller, client);
    auto news = poller.Take();
    if (screen != nullptr) {
      if (news.has_value()) data.cluster = std::move(news->cluster);
      while (const std::optional<int> key = screen->NextKey()) TakeKey(*key, &state);
      if (state.quit) return kExitOk;
      data.coordinator = client.address();
      data.trouble = trouble;
      data.now = absl::Now();
      screen->Draw(ClusterView(data, {screen->rows(), screen->columns(), screen->utf8()}, &state));
    } else {
      if (news.has_value()) log.Take(news->cluster);
      log.Silent(trouble);
    }
    if (!std::cout.good()) return kExitFailed;
    if (poller.Silence() > kPatience) {
      client.GiveUp();
      screen.reset();
      const grpc::Status failure = poller.Failure();
      PrintError(failure.ok() ? trouble : client.Explain(failure).message());
      return kExitLostContact;
    }
    waker->Wait(SteadyNow() + kTick, screen != nullptr ? screen->input_fd() : -1);
  }
  return kExitSignal + interruption.signal();
}

}  // namespace samovar
