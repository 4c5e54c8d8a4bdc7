#include "cli/report/progress.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/parameters/push_counters.h"

namespace samovar {
namespace {

// "loss = 0.34 (* 1 = 0.34 loss)"
std::string OutputText(const v1::NamedValue& output) {
  std::string text = absl::StrCat(output.name(), " = ", output.value());
  if (output.mean_of() != 0) absl::StrAppend(&text, " (mean of ", output.mean_of(), " values)");
  if (output.loss_weight() != 0) {
    absl::StrAppend(&text, " (* ", output.loss_weight(), " = ", output.loss_weight() * output.value(), " loss)");
  }
  return text;
}

}  // namespace

JobNews NewsFilter::Take(const v1::JobStatus& status) {
  JobNews news;
  for (const v1::DisplayLine& line : status.displays()) {
    if (displayed_.has_value() && line.iteration() <= displayed_->iteration()) continue;
    Display display{line, 0, line.seconds()};
    if (displayed_.has_value()) {
      display.iterations = line.iteration() - displayed_->iteration();
      // Another coordinator has begun to count anew.
      display.seconds = line.seconds() - (line.seconds() < displayed_->seconds() ? 0 : displayed_->seconds());
    }
    displayed_ = line;
    news.displays.push_back(std::move(display));
  }
  // Tests are compared by iteration and net, not counted: under a new coordinator a job may have gone back, and made
  // other tests since.
  for (const v1::TestReport& test : status.tests()) {
    if (tested_.emplace(test.iteration(), test.net()).second) news.tests.push_back(test);
  }
  // Old ones leave the list. One that a job has gone back before comes again.
  const std::set<uint64_t> snapshots(status.snapshots().begin(), status.snapshots().end());
  std::set_difference(snapshots.begin(), snapshots.end(), snapshots_.begin(), snapshots_.end(),
                      std::back_inserter(news.snapshots));
  snapshots_ = snapshots;
  if (status.snapshot_error() != snapshot_error_) news.snapshot_error = snapshot_error_ = status.snapshot_error();
  if (status.export_error() != export_error_) news.export_error = export_error_ = status.export_error();
  const uint64_t dropped = status.dropped_notices();
  const uint64_t notices = dropped + static_cast<uint64_t>(status.notices_size());
  for (notices_ = std::clamp(notices_, dropped, notices); notices_ < notices; ++notices_) {
    news.notices.push_back(status.notices(static_cast<int>(notices_ - dropped)));
  }
  return news;
}

std::string FormatDuration(double seconds) {
  constexpr double kLongest = 1e9;
  const int64_t total = std::llround(std::clamp(std::isnan(seconds) ? 0 : seconds, 0.0, kLongest));
  if (total < 60) return absl::StrCat(total, " s");
  if (total < 3600) return absl::StrFormat("%d min %02d s", total / 60, total % 60);
  return absl::StrFormat("%d h %02d min", total / 3600, total % 3600 / 60);
}

std::string FormatBytes(double bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return absl::StrFormat(unit == 0 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
}

std::string StatusLine(const v1::JobStatus& status) {
  if (status.state() == v1::JOB_STATE_QUEUED) {
    return status.cause().empty() ? "starting" : status.cause();
  }
  std::string line = absl::StrCat("iteration ", status.iteration(), "/", status.max_iter());
  if (!status.cause().empty() && status.state() == v1::JOB_STATE_RUNNING)
    return absl::StrCat(line, "  ", status.cause());
  if (status.completed_iterations() > status.resumed_from()) {
    absl::StrAppend(&line, absl::StrFormat("  loss %.4g", status.loss()));
  }
  if (status.images_per_second() > 0) {
    absl::StrAppend(&line, absl::StrFormat("  %.0f images/s", status.images_per_second()));
  }
  if (status.iteration() >= status.max_iter()) return absl::StrCat(line, "  last tests");
  if (status.eta_seconds() > 0) absl::StrAppend(&line, "  ", FormatDuration(status.eta_seconds()), " left");
  return line;
}

std::vector<std::string> DisplayLines(const Display& display) {
  const v1::DisplayLine& line = display.line;
  const double iterations = static_cast<double>(display.iterations);
  const double seconds = std::max(display.seconds, 1e-6);
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat("Iteration ", line.iteration(), " (", iterations / seconds, " iter/s, ", seconds, "s/",
                               display.iterations, " iters), loss = ", line.loss()));
  for (int i = 0; i < line.outputs_size(); ++i) {
    lines.push_back(absl::StrCat("    Train net output #", i, ": ", OutputText(line.outputs(i))));
  }
  lines.push_back(absl::StrCat("Iteration ", line.iteration(), ", lr = ", line.learning_rate()));
  return lines;
}

std::vector<std::string> TestLines(const v1::TestReport& report) {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat("Iteration ", report.iteration(), ", Testing net (#", report.net(), ")"));
  for (int i = 0; i < report.outputs_size(); ++i) {
    lines.push_back(absl::StrCat("    Test net output #", i, ": ", OutputText(report.outputs(i))));
  }
  return lines;
}

std::string LedgerLine(const v1::LedgerSummary& ledger) {
  if (ledger.complete_chunks() == ledger.chunks() && ledger.chunks() > 0 && ledger.iterations() == 0) {
    return absl::StrCat("ledger: ", ledger.chunks(), ledger.chunks() == 1 ? " chunk, it holds" : " chunks, each holds",
                        " no iteration");
  }
  if (ledger.complete_chunks() != ledger.chunks() || ledger.chunks() == 0) {
    return absl::StrCat("ledger: only ", ledger.complete_chunks(), " of ", ledger.chunks(), " chunks hold exactly the ",
                        ledger.iterations(), " iterations");
  }
  return absl::StrCat("ledger: ", ledger.chunks(), ledger.chunks() == 1 ? " chunk, it holds" : " chunks, each holds",
                      " iterations 0..", ledger.iterations() - 1, " exactly once");
}

std::vector<std::string> SummaryLines(const v1::JobStatus& status) {
  const uint64_t before = status.resumed_from();
  const uint64_t iterations = status.max_iter() - std::min(before, status.max_iter());
  const auto samples = static_cast<double>(status.samples());
  std::vector<std::string> lines;
  std::string trained =
      absl::StrCat("trained ", iterations, " iterations", before > 0 ? absl::StrCat(" from ", before) : "",
                   absl::StrFormat(", %.0f samples, in %.1f s", samples, status.seconds()));
  if (status.seconds() > 0) absl::StrAppend(&trained, absl::StrFormat(" (%.0f samples/s)", samples / status.seconds()));
  lines.push_back(std::move(trained));
  lines.push_back(LedgerLine(status.ledger()));
  const v1::PushCounters& counters = status.ledger().counters();
  lines.push_back(absl::StrCat(
      "pushes: ", counters.applied(), " applied, ", counters.duplicates(), " repeated and dropped, ",
      counters.rejected(), " refused",
      absl::StrFormat("; staleness %.2f on average, median %d, 90 %% within %d, 99 %% within %d, %d at most",
                      MeanStaleness(counters), StalenessPercentile(counters, 50), StalenessPercentile(counters, 90),
                      StalenessPercentile(counters, 99), counters.staleness_max())));
  if (status.speculative() > 0) {
    lines.push_back(absl::StrCat("stragglers: ", status.speculative(), " pieces of work given to a second worker, ",
                                 status.speculative_wasted(), " of them in vain"));
  }
  if (status.recoveries() > 0) {
    lines.push_back(absl::StrCat("recoveries: servers were lost and came back ", status.recoveries(), " times, ",
                                 status.repeated_iterations(), " iterations were computed again"));
  }
  if (status.skipped_iterations() > 0) {
    lines.push_back(
        absl::StrCat("skipped: ", status.skipped_iterations(),
                     " iterations whose loss or gradient was not finite changed nothing, but for chunks that "
                     "had an earlier update of them"));
  }
  return lines;
}

std::string GlogPrefix(absl::Time time, int pid, char letter) {
  return absl::StrCat(std::string(1, letter), absl::FormatTime("%m%d %H:%M:%E6S", time, absl::LocalTimeZone()), " ",
                      pid, " samovar] ");
}

}  // namespace samovar
