// TrainReporter tells the user how a training run goes. One for each way to tell it: a terminal's living line, a log in
// Caffe's format, JSON for programs.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "cli/report/progress.h"
#include "cli/report/standstill.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// A run that begins.
struct RunFacts {
  std::string net;
  std::string job_id;
  uint64_t max_iter = 0;
  int servers = 0;
  int workers = 0;
  int threads = 0;
  // As ConsistencyText says it.
  std::string mode;
  uint64_t seed = 0;
  // Iteration of the snapshot that it continues from; 0: from initial weights. Of a run that `resumes` the newest one
  // that is known of: servers that were ended in an orderly way may hold a newer one.
  uint64_t resumed_from = 0;
  bool resumes = false;
  // One entry a test net: as TestedText says it.
  std::vector<std::string> tests;
  // Which files weights come from, in words; empty: from none.
  std::string start;
  std::string state_dir;
};

class TrainReporter {
 public:
  virtual ~TrainReporter() = default;

  // Everything was checked; processes are about to be started.
  virtual void Started(const RunFacts& facts) = 0;
  // All processes are up. `coordinator` is where the status can be asked for.
  virtual void Ready(const std::string& coordinator) = 0;
  // Where a browser finds the run's dashboard: for programs, since people are told on stderr.
  virtual void Dashboard(const std::string&) {}
  // A run that resumes goes on from this iteration.
  virtual void Resumed(uint64_t iteration) = 0;
  // A job of a cluster is followed from now on; `net` is its net's name.
  virtual void Watching(const std::string& net, const v1::JobStatus& status, const std::string& coordinator) = 0;
  // It is queued, for this reason.
  virtual void Waits(const std::string& cause) = 0;
  virtual void Progress(const v1::JobStatus& status, const JobNews& news) = 0;
  // The coordinator has sent nothing for so many seconds; what was shown last is no longer so. Called again and again
  // until the next Progress.
  virtual void Silent(double seconds, const std::string& coordinator) = 0;
  // The job does not get on. Called again while that lasts, ever more seldom.
  virtual void StandsStill(const StandstillFacts& facts) = 0;
  // Something about the lines of the solver's display that follow.
  virtual void DisplayRemark(const std::string& text) = 0;
  // Whether lines of the solver's display are shown.
  virtual bool ShowsDisplays() const = 0;
  // Something went wrong that the run survives.
  virtual void Warning(const std::string& text) = 0;
  virtual void ModelWritten(uint64_t iteration, const std::string& path) = 0;
  virtual void SolverStateWritten(uint64_t iteration, const std::string& path) = 0;
  virtual void Succeeded(const v1::JobStatus& status) = 0;
  // The job goes on, but is followed no longer.
  virtual void Unwatched() = 0;
  // The run ended otherwise. The text reporters leave the message to stderr (exit_codes.h).
  virtual void Failed(const std::string& message) = 0;
};

// `out` outlives the reporter; `columns` is asked for the terminal's width.
std::unique_ptr<TrainReporter> MakeTerminalReporter(std::ostream* out, std::function<int()> columns);
// `now` and `pid` go into each line.
std::unique_ptr<TrainReporter> MakeLogReporter(std::ostream* out, std::function<absl::Time()> now, int pid);
std::unique_ptr<TrainReporter> MakeJsonReporter(std::ostream* out);

}  // namespace samovar
