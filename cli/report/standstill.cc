#include "cli/report/standstill.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/report/progress.h"
#include "common/base/printable.h"

namespace samovar {
namespace {

// A worker that is silent for longer may have stopped testing.
constexpr double kHeardSeconds = 3;

// Ages and counts in it grow with the time alone.
std::string WithoutNumbers(const std::vector<std::string>& reasons) {
  std::string text;
  for (const std::string& reason : reasons) {
    for (const char c : reason) {
      if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) text += c;
    }
    text += '\n';
  }
  return text;
}

bool WorksFor(const v1::WorkerStatus& worker, const std::string& job_id) {
  return std::any_of(worker.leases().begin(), worker.leases().end(),
                     [&](const std::string& lease) { return absl::StartsWith(lease, absl::StrCat(job_id, ": ")); });
}

std::vector<std::string> Reasons(const v1::ClusterStatus& cluster, const std::string& job_id) {
  std::vector<std::string> reasons;
  for (const std::string& problem : cluster.problems()) {
    // That it stands still is said anyway.
    if (!absl::StrContains(problem, "stands still: no iteration for")) reasons.push_back(problem);
  }
  for (const v1::WorkerStatus& worker : cluster.workers()) {
    const std::string name = absl::StrCat("worker ", worker.name(), " (", worker.worker_id(), ")");
    const bool named = std::any_of(reasons.begin(), reasons.end(),
                                   [&](const std::string& reason) { return absl::StrContains(reason, name); });
    if (WorksFor(worker, job_id) && !named && !worker.state().empty())
      reasons.push_back(absl::StrCat(name, " ", worker.state()));
  }
  if (reasons.size() > Standstill::kReasons) {
    const size_t more = reasons.size() - Standstill::kReasons;
    reasons.resize(Standstill::kReasons);
    reasons.push_back(absl::StrCat("and ", more, " more (samovar status)"));
  }
  return reasons;
}

}  // namespace

void Standstill::Take(const v1::JobStatus& status, absl::Time now) {
  job_id_ = status.job_id();
  const uint64_t snapshot = status.snapshots().empty() ? 0 : *status.snapshots().rbegin();
  const Progress progress = {static_cast<int>(status.state()), status.completed_iterations(), status.tests_size(),
                             snapshot};
  const bool runs = status.state() == v1::JOB_STATE_RUNNING || status.state() == v1::JOB_STATE_QUEUED;
  if (progress != progress_ || status.images_per_second() > 0 || !runs) {
    progress_ = progress;
    moved_ = now;
    due_ = runs ? now + kAfter : absl::InfiniteFuture();
    told_.clear();
    again_ = kAgain;
  }
}

std::optional<StandstillFacts> Standstill::Explain(const v1::ClusterStatus& cluster,
                                                   const std::vector<v1::JobEvent>& events, absl::Time now) {
  due_ = now + kAfter;
  const bool tests =
      std::any_of(cluster.workers().begin(), cluster.workers().end(), [&](const v1::WorkerStatus& worker) {
        return worker.figures().activity() == v1::WORKER_ACTIVITY_TESTING && worker.silent_seconds() < kHeardSeconds &&
               WorksFor(worker, job_id_);
      });
  if (tests) return std::nullopt;
  StandstillFacts facts;
  facts.seconds = absl::ToDoubleSeconds(now - moved_);
  facts.reasons = Reasons(cluster, job_id_);
  const size_t shown = std::min(events.size(), kEvents);
  for (auto event = events.end() - static_cast<std::ptrdiff_t>(shown); event != events.end(); ++event)
    facts.events.push_back(EventLine(*event));
  std::string text = WithoutNumbers(facts.reasons);
  if (text == told_ && now - told_at_ < again_) return std::nullopt;
  // One that comes and goes is not told more often either.
  again_ = text == told_ ? std::min(2 * again_, kSeldom) : kAgain;
  told_ = std::move(text);
  told_at_ = now;
  return facts;
}

std::string EventLine(const v1::JobEvent& event) {
  const absl::Time time = absl::FromUnixMillis(static_cast<int64_t>(event.unix_ms()));
  return absl::StrCat(absl::FormatTime("%H:%M:%S", time, absl::LocalTimeZone()), " ", Printable(event.text()),
                      event.repeats() > 0 ? absl::StrCat(" (and the like ", event.repeats(), " times more)") : "");
}

std::string StandstillLine(const StandstillFacts& facts) {
  std::string line = absl::StrCat("nothing has moved for ", FormatDuration(facts.seconds));
  if (!facts.reasons.empty()) absl::StrAppend(&line, ": ", absl::StrJoin(facts.reasons, "; "));
  if (!facts.events.empty()) absl::StrAppend(&line, "; newest events: ", absl::StrJoin(facts.events, "; "));
  // Words that parse_log.py looks for.
  return absl::StrReplaceAll(Printable(line),
                             {{"Iteration ", "iteration "}, {"lr = ", "lr: "}, {" net output #", " output "}});
}

std::string StandstillText(const StandstillFacts& facts) {
  std::string text = absl::StrCat("nothing has moved for ", FormatDuration(facts.seconds));
  for (const std::string& reason : facts.reasons) absl::StrAppend(&text, "\n  ", reason);
  if (!facts.events.empty()) absl::StrAppend(&text, "\n  newest events:");
  for (const std::string& event : facts.events) absl::StrAppend(&text, "\n    ", event);
  return text;
}

}  // namespace samovar
