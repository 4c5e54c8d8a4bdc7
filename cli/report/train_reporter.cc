#include "cli/report/train_reporter.h"

#include <algorithm>
#include <ostream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "common/model/consistency.h"
#include "common/parameters/push_counters.h"

namespace samovar {
namespace {

std::string Counted(int count, const std::string& what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// As Caffe's log names it.
const char* FormatName(const std::string& path) { return absl::EndsWith(path, ".h5") ? "HDF5" : "binary proto"; }

std::vector<std::string> WarningsOf(const JobNews& news) {
  std::vector<std::string> warnings = news.notices;
  for (const std::string& error : {news.snapshot_error, news.export_error}) {
    if (!error.empty()) warnings.push_back(error);
  }
  return warnings;
}

// The lines that the two reporters for people share. They differ in how a line is written.
class TextReporter : public TrainReporter {
 public:
  explicit TextReporter(std::ostream* out) : out_(*out) {}

  void Started(const RunFacts& facts) override {
    Line(absl::StrCat("Solving ", facts.net));
    Line(absl::StrCat("job ", facts.job_id, ": ", facts.max_iter, " iterations",
                      facts.resumes            ? ", resumed"
                      : facts.resumed_from > 0 ? absl::StrCat(", from ", facts.resumed_from)
                                               : "",
                      ", seed ", facts.seed, "; ", Counted(facts.servers, "server"), ", ",
                      Counted(facts.workers, "worker"), " of ", Counted(facts.threads, "thread"), "; ", facts.mode));
    if (!facts.start.empty()) Line(absl::StrCat("weights: ", facts.start));
    for (size_t net = 0; net < facts.tests.size(); ++net) Line(absl::StrCat("test net #", net, ": ", facts.tests[net]));
    Line(absl::StrCat("snapshots and logs: ", facts.state_dir));
  }

  void Ready(const std::string& coordinator) override { Line(absl::StrCat("coordinator: ", coordinator)); }

  void Resumed(uint64_t iteration) override { Line(absl::StrCat("resumed from iteration ", iteration)); }

  void Watching(const std::string& net, const v1::JobStatus& status, const std::string& coordinator) override {
    Line(absl::StrCat("Solving ", net));
    Line(absl::StrCat("job ", status.job_id(), ": ", status.max_iter(), " iterations; ",
                      ConsistencyText(status.consistency()), "; weight ", status.weight()));
    Line(absl::StrCat("coordinator: ", coordinator));
  }

  void Waits(const std::string& cause) override { Line(cause); }

  void Silent(double seconds, const std::string& coordinator) override {
    if (std::exchange(silent_, true)) return;
    Warning(absl::StrCat("no news for ", FormatDuration(seconds), " from the coordinator at ", coordinator,
                         "; goes on asking"));
  }

  void Progress(const v1::JobStatus&, const JobNews& news) override {
    silent_ = false;
    // As Caffe does, an iteration's test before its display.
    auto display = news.displays.begin();
    for (const v1::TestReport& report : news.tests) {
      for (; display != news.displays.end() && display->line.iteration() < report.iteration(); ++display)
        Show(*display);
      for (const std::string& line : TestLines(report)) Line(line);
    }
    for (; display != news.displays.end(); ++display) Show(*display);
    for (const std::string& text : WarningsOf(news)) Warning(text);
  }

  void StandsStill(const StandstillFacts& facts) override { Warning(StandstillText(facts)); }

  void DisplayRemark(const std::string&) override {}

  bool ShowsDisplays() const override { return false; }

  void Warning(const std::string& text) override {
    BeforeError();
    PrintWarning(text);
  }

  void ModelWritten(uint64_t, const std::string& path) override {
    Line(absl::StrCat("Snapshotting to ", FormatName(path), " file ", path));
  }

  void SolverStateWritten(uint64_t, const std::string& path) override {
    Line(absl::StrCat("Snapshotting solver state to ", FormatName(path), " file ", path));
  }

  void Succeeded(const v1::JobStatus& status) override {
    for (const std::string& line : SummaryLines(status)) Line(line);
    Line("Optimization Done.");
  }

  void Unwatched() override { BeforeError(); }

  void Failed(const std::string&) override { BeforeError(); }

 protected:
  virtual void Line(const std::string& text) = 0;
  virtual void Show(const Display&) {}
  // Makes room on the terminal for lines on stderr.
  virtual void BeforeError() { out_.flush(); }

  std::ostream& out_;

 private:
  // That the coordinator is silent was told.
  bool silent_ = false;
};

class LogReporter : public TextReporter {
 public:
  LogReporter(std::ostream* out, std::function<absl::Time()> now, int pid)
      : TextReporter(out), now_(std::move(now)), pid_(pid) {}

  void StandsStill(const StandstillFacts& facts) override {
    out_ << GlogPrefix(now_(), pid_, 'W') << StandstillLine(facts) << std::endl;
  }

  void DisplayRemark(const std::string& text) override { Line(text); }

  bool ShowsDisplays() const override { return true; }

 protected:
  void Line(const std::string& text) override { out_ << GlogPrefix(now_(), pid_) << text << std::endl; }

  void Show(const Display& display) override {
    for (const std::string& line : DisplayLines(display)) Line(line);
  }

 private:
  const std::function<absl::Time()> now_;
  const int pid_;
};

class TerminalReporter : public TextReporter {
 public:
  TerminalReporter(std::ostream* out, std::function<int()> columns) : TextReporter(out), columns_(std::move(columns)) {}

  ~TerminalReporter() override { BeforeError(); }

  // The living line says it.
  void Waits(const std::string&) override {}

  void Progress(const v1::JobStatus& status, const JobNews& news) override {
    TextReporter::Progress(status, news);
    reached_ = absl::StrCat("iteration ", status.iteration(), "/", status.max_iter());
    ShowLiving(StatusLine(status));
  }

  void Silent(double seconds, const std::string& coordinator) override {
    ShowLiving(absl::StrCat("no news for ", FormatDuration(seconds), " from the coordinator at ", coordinator,
                            reached_.empty() ? "" : absl::StrCat("; it was at ", reached_)));
  }

 protected:
  void Line(const std::string& text) override {
    BeforeError();
    out_ << text << std::endl;
  }

  void BeforeError() override {
    if (std::exchange(living_, false)) out_ << kClear;
    out_.flush();
  }

 private:
  // To the line's beginning, and clear it.
  static constexpr char kClear[] = "\r\x1b[K";

  void ShowLiving(const std::string& text) {
    // One column is left free: a full line would make some terminals begin another.
    const size_t width = static_cast<size_t>(std::max(columns_() - 1, 1));
    out_ << kClear << text.substr(0, width) << std::flush;
    living_ = true;
  }

  const std::function<int()> columns_;
  // By the last status.
  std::string reached_;
  // The cursor is behind a status line.
  bool living_ = false;
};

std::string StringsJson(const std::vector<std::string>& texts) {
  return absl::StrCat(
      "[",
      absl::StrJoin(texts, ",",
                    [](std::string* out, const std::string& text) { absl::StrAppend(out, JsonString(text)); }),
      "]");
}

template <class Outputs>
std::string OutputsJson(const Outputs& outputs) {
  std::string json;
  for (const v1::NamedValue& output : outputs) {
    absl::StrAppend(&json, json.empty() ? "" : ",",
                    JsonLine().Text("name", output.name()).Number("value", output.value()).Finish());
  }
  return absl::StrCat("[", json, "]");
}

JsonLine Event(const char* name) {
  JsonLine line;
  line.Text("event", name);
  return line;
}

class JsonReporter : public TrainReporter {
 public:
  explicit JsonReporter(std::ostream* out) : out_(*out) {}

  void Started(const RunFacts& facts) override {
    Write(Event("started")
              .Text("net", facts.net)
              .Text("job_id", facts.job_id)
              .Integer("max_iter", facts.max_iter)
              .Integer("servers", static_cast<uint64_t>(facts.servers))
              .Integer("workers", static_cast<uint64_t>(facts.workers))
              .Integer("threads", static_cast<uint64_t>(facts.threads))
              .Text("mode", facts.mode)
              .Integer("seed", facts.seed)
              .Integer("resumed_from", facts.resumed_from)
              .Text("weights", facts.start)
              .Text("state_dir", facts.state_dir));
  }

  void Silent(double seconds, const std::string& coordinator) override {
    if (!std::exchange(silent_, true))
      Write(Event("silent").Number("seconds", seconds).Text("coordinator", coordinator));
  }

  void Ready(const std::string& coordinator) override { Write(Event("ready").Text("coordinator", coordinator)); }

  void Dashboard(const std::string& url) override { Write(Event("dashboard").Text("url", url)); }

  void Resumed(uint64_t iteration) override { Write(Event("resumed").Integer("iteration", iteration)); }

  void Watching(const std::string& net, const v1::JobStatus& status, const std::string& coordinator) override {
    Write(Event("watching")
              .Text("net", net)
              .Text("job_id", status.job_id())
              .Text("coordinator", coordinator)
              .Integer("max_iter", status.max_iter())
              .Text("mode", ConsistencyText(status.consistency()))
              .Integer("weight", status.weight()));
  }

  void Waits(const std::string& cause) override { Write(Event("waiting").Text("cause", cause)); }

  void Progress(const v1::JobStatus& status, const JobNews& news) override {
    silent_ = false;
    for (const v1::TestReport& report : news.tests) {
      Write(Event("test")
                .Integer("iteration", report.iteration())
                .Integer("net", report.net())
                .Integer("records", report.records())
                .Raw("outputs", OutputsJson(report.outputs())));
    }
    for (const Display& display : news.displays) {
      Write(Event("display")
                .Integer("iteration", display.line.iteration())
                .Number("loss", display.line.loss())
                .Number("learning_rate", display.line.learning_rate())
                .Raw("outputs", OutputsJson(display.line.outputs()))
                .Number("seconds", display.line.seconds()));
    }
    for (uint64_t iteration : news.snapshots) Write(Event("snapshot").Integer("iteration", iteration));
    for (const std::string& text : WarningsOf(news)) Warning(text);
    if (status.state() != v1::JOB_STATE_RUNNING) return;
    Write(Event("progress")
              .Integer("iteration", status.iteration())
              .Integer("max_iter", status.max_iter())
              .Number("loss", status.loss())
              .Number("learning_rate", status.learning_rate())
              .Raw("outputs", OutputsJson(status.outputs()))
              .Number("images_per_second", status.images_per_second())
              .Number("eta_seconds", status.eta_seconds())
              .Integer("samples", status.samples())
              .Number("seconds", status.seconds()));
  }

  void StandsStill(const StandstillFacts& facts) override {
    Write(Event("stalled")
              .Number("seconds", facts.seconds)
              .Raw("reasons", StringsJson(facts.reasons))
              .Raw("events", StringsJson(facts.events)));
  }

  void DisplayRemark(const std::string& text) override { Warning(text); }

  bool ShowsDisplays() const override { return true; }

  void Warning(const std::string& text) override { Write(Event("warning").Text("message", text)); }

  void ModelWritten(uint64_t iteration, const std::string& path) override {
    Write(Event("model").Integer("iteration", iteration).Text("path", path));
  }

  void SolverStateWritten(uint64_t iteration, const std::string& path) override {
    Write(Event("solver_state").Integer("iteration", iteration).Text("path", path));
  }

  void Succeeded(const v1::JobStatus& status) override {
    const v1::LedgerSummary& ledger = status.ledger();
    const v1::PushCounters& counters = ledger.counters();
    const JsonLine pushes = JsonLine()
                                .Integer("applied", counters.applied())
                                .Integer("duplicates", counters.duplicates())
                                .Integer("rejected", counters.rejected())
                                .Integer("staleness_sum", counters.staleness_sum())
                                .Number("staleness_mean", MeanStaleness(counters))
                                .Integer("staleness_median", StalenessPercentile(counters, 50))
                                .Integer("staleness_90", StalenessPercentile(counters, 90))
                                .Integer("staleness_99", StalenessPercentile(counters, 99))
                                .Integer("staleness_max", counters.staleness_max());
    const JsonLine held = JsonLine()
                              .Integer("chunks", ledger.chunks())
                              .Integer("complete_chunks", ledger.complete_chunks())
                              .Integer("iterations", ledger.iterations())
                              .Raw("pushes", pushes.Finish());
    Write(Event("succeeded")
              .Integer("iteration", status.iteration())
              .Integer("samples", status.samples())
              .Number("seconds", status.seconds())
              .Integer("resumed_from", status.resumed_from())
              .Integer("releases", status.releases())
              .Integer("speculative", status.speculative())
              .Integer("speculative_wasted", status.speculative_wasted())
              .Integer("recoveries", status.recoveries())
              .Integer("repeated_iterations", status.repeated_iterations())
              .Integer("skipped_iterations", status.skipped_iterations())
              .Raw("ledger", held.Finish()));
  }

  void Unwatched() override {}

  void Failed(const std::string& message) override { Write(Event("failed").Text("message", message)); }

 private:
  void Write(const JsonLine& line) { out_ << line.Finish() << std::endl; }

  std::ostream& out_;
  // That the coordinator is silent was told.
  bool silent_ = false;
};

}  // namespace

std::unique_ptr<TrainReporter> MakeTerminalReporter(std::ostream* out, std::function<int()> columns) {
  return std::make_unique<TerminalReporter>(out, std::move(columns));
}

std::unique_ptr<TrainReporter> MakeLogReporter(std::ostream* out, std::function<absl::Time()> now, int pid) {
  return std::make_unique<LogReporter>(out, std::move(now), pid);
}

std::unique_ptr<TrainReporter> MakeJsonReporter(std::ostream* out) { return std::make_unique<JsonReporter>(out); }

}  // namespace samovar
