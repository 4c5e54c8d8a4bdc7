// Puts a training run's progress into words: pure functions of the job's status.
//
// Lines about iterations and tests are those of Caffe's log, number by number, so that programs for Caffe's logs read
// ours.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// One line of the solver's display, and the iterations and seconds since the one before; of the first, 0 and since the
// job's start.
struct Display {
  v1::DisplayLine line;
  uint64_t iterations = 0;
  double seconds = 0;
};

// The news of a status: everything that the statuses before it did not hold.
struct JobNews {
  // The lines of the solver's display, in the order of iterations.
  std::vector<Display> displays;
  std::vector<v1::TestReport> tests;
  std::vector<uint64_t> snapshots;
  // Empty unless a snapshot failed in another way than before.
  std::string snapshot_error;
  // The same of an export.
  std::string export_error;
  // Messages for the user, oldest first.
  std::vector<std::string> notices;
};

// NewsFilter finds the news in a job's successive statuses: everything that it has not returned before. Thread safety:
// none.
class NewsFilter {
 public:
  JobNews Take(const v1::JobStatus& status);

 private:
  // The newest line that Take has returned.
  std::optional<v1::DisplayLine> displayed_;
  // Iterations and nets of the tests that Take has returned.
  std::set<std::pair<uint64_t, uint32_t>> tested_;
  // Those that the last status listed.
  std::set<uint64_t> snapshots_;
  std::string snapshot_error_;
  std::string export_error_;
  uint64_t notices_ = 0;
};

// "45 s", "3 min 20 s", "2 h 05 min".
std::string FormatDuration(double seconds);

// "1.6 MiB"
std::string FormatBytes(double bytes);

// The line that a terminal shows: "iteration 523/2000  loss 0.341  3107 images/s  31 s left"; of a job that waits,
// its cause.
std::string StatusLine(const v1::JobStatus& status);

// "Iteration 500 (212.4 iter/s, 0.47s/100 iters), loss = 0.34", a line for each train output, "Iteration 500, lr =
// 0.0096".
std::vector<std::string> DisplayLines(const Display& display);

// "Iteration 500, Testing net (#0)", "    Test net output #0: accuracy = 0.87", ...
std::vector<std::string> TestLines(const v1::TestReport& report);

// "ledger: 106 chunks, each holds iterations 0..1999 exactly once"
std::string LedgerLine(const v1::LedgerSummary& ledger);

// The lines at the end of a run that succeeded: iterations, samples, time, rate, ledger, pushes.
std::vector<std::string> SummaryLines(const v1::JobStatus& status);

// The beginning of each line of glog, which Caffe logs with: "I0131 12:00:00.000000 4711 samovar] ", in local time. Of
// warnings the letter is 'W'.
std::string GlogPrefix(absl::Time time, int pid, char letter = 'I');

}  // namespace samovar
