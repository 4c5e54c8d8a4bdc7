#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/process_log.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "cli/report/status_table.h"
#include "cli/run/follow_patiently.h"
#include "cli/run/job_client.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/proto_json.h"

namespace samovar {
namespace {

// Somebody waits for a shell to complete a word.
constexpr absl::Duration kQuick = absl::Seconds(1);

absl::StatusOr<std::string> List(const JobsOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::ListJobsResponse jobs, JobClient(options).List());
  if (options.json) return ToJson(jobs);
  return JobsTable(jobs);
}

absl::StatusOr<std::string> Cancel(const CancelOptions& options) {
  const JobClient client(options);
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobStatus before, client.Get(options.job));
  SAMOVAR_RETURN_IF_ERROR(client.Cancel(options.job));
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobStatus after, client.Get(options.job));
  if (options.json) {
    return absl::StrCat(JsonLine()
                            .Text("job_id", options.job)
                            .Text("state", StateText(after.state()))
                            .Text("cause", after.cause())
                            .Finish(),
                        "\n");
  }
  if (before.ended_unix_ms() != 0)
    return absl::StrCat("job ", options.job, " had ended before: ", StateText(after.state()), "\n");
  return absl::StrCat("job ", options.job, " is ", StateText(after.state()), ", at iteration ", after.iteration(),
                      "\n");
}

int Print(const absl::StatusOr<std::string>& text) {
  if (!text.ok()) {
    PrintError(text.status().message());
    return kExitFailed;
  }
  std::cout << *text;
  return kExitOk;
}

const char* KindName(v1::JobEvent::Kind kind) {
  switch (kind) {
    case v1::JobEvent::KIND_STATE:
      return "state";
    case v1::JobEvent::KIND_TEST:
      return "test";
    case v1::JobEvent::KIND_SNAPSHOT:
      return "snapshot";
    case v1::JobEvent::KIND_WORKER:
      return "worker";
    case v1::JobEvent::KIND_LEASE:
      return "lease";
    default:
      return "other";
  }
}

std::string Again(const v1::JobEvent& event) {
  if (event.repeats() == 0) return "";
  const absl::Time last = absl::FromUnixMillis(static_cast<int64_t>(event.last_unix_ms()));
  return absl::StrCat(" (and the like ", event.repeats(), " times more, the last at ",
                      absl::FormatTime("%H:%M:%S", last, absl::LocalTimeZone()), ")");
}

std::string EventText(const v1::JobEvent& event, bool json) {
  if (json) {
    return JsonLine()
        .Integer("number", event.number())
        .Integer("unix_ms", event.unix_ms())
        .Text("kind", KindName(event.kind()))
        .Text("text", event.text())
        .Integer("repeats", event.repeats())
        .Finish();
  }
  const absl::Time time = absl::FromUnixMillis(static_cast<int64_t>(event.unix_ms()));
  return absl::StrCat(absl::FormatTime("%Y-%m-%d %H:%M:%E3S", time, absl::LocalTimeZone()), "  ", event.text(),
                      Again(event));
}

}  // namespace

std::vector<std::string> JobNames(const ClusterOptions& cluster) {
  if (cluster.coordinator.empty()) return {};
  const absl::StatusOr<v1::ClusterStatus> status = JobClient(cluster).ClusterStatus(SteadyNow() + kQuick);
  std::vector<std::string> names;
  if (!status.ok()) return names;
  for (const v1::JobStatus& job : status->jobs()) names.push_back(job.job_id());
  return names;
}

int RunJobs(const JobsOptions& options) { return Print(List(options)); }

int RunCancel(const CancelOptions& options) { return Print(Cancel(options)); }

int RunForget(const ForgetOptions& options) {
  const absl::Status status = JobClient(options).Forget(options.job);
  if (!status.ok()) return Print(status);
  return Print(absl::StrCat("job ", options.job, " is forgotten; its servers remove its snapshots\n"));
}

int RunLogs(const LogsOptions& options) {
  if (!options.worker.empty() || !options.server.empty()) return RunProcessLog(options);
  const JobClient client(options);
  uint64_t newest = 0;
  const auto read = [&](bool* heard) {
    return client.Logs(options.job, newest, options.follow, [&](const v1::JobEvent& event) {
      *heard = true;
      newest = event.number();
      std::cout << EventText(event, options.json) << std::endl;
    });
  };
  return FollowPatiently(read);
}

}  // namespace samovar
