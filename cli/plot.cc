#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/report/curve.h"
#include "cli/report/exit_codes.h"
#include "cli/report/svg_chart.h"
#include "cli/run/job_client.h"
#include "common/base/status_macros.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// As many as a picture of that width can show.
constexpr uint32_t kPoints = 2000;
// Longer logs are not read.
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;
// Points of one line that are marked one by one.
constexpr size_t kMaxMarks = 100;

struct Run {
  std::string name;
  Curve curve;
};

// The file's name; the run directory's, of a local run's curve (run_directory.h).
std::string NameOf(const std::string& path) {
  const std::filesystem::path file(path);
  const std::string directory = file.parent_path().filename().string();
  return file.filename() == "history.csv" && !directory.empty() ? directory : file.filename().string();
}

// A word of the command line: a file, a job, or, the last one, the coordinator's address or home.
struct Word {
  std::string text;
  bool is_file = false;
};

// An error: the storage that the word names does not say.
absl::StatusOr<std::vector<Word>> LookAt(const std::vector<std::string>& words, const StorageTable& storage) {
  std::vector<Word> looked;
  for (const std::string& word : words) {
    const absl::StatusOr<StoredFile> file = storage.Stat(word);
    // It has been waited for once.
    if (absl::IsUnavailable(file.status()) || absl::IsDeadlineExceeded(file.status())) return file.status();
    looked.push_back({word, file.ok() && !file->is_directory});
  }
  return looked;
}

// Pictures go where somebody expects them: a directory that is not there is a mistake.
absl::Status CheckDirectory(const std::string& output) {
  const std::string parent = std::filesystem::path(output).parent_path().string();
  std::error_code error;
  if (!SchemeOf(output).empty() || parent.empty() || std::filesystem::is_directory(parent, error))
    return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("--output ", output, ": there is no directory ", parent, "; make it, or name one that there is"));
}

// If there are many points, their extremes, as GetHistory has them.
std::vector<std::pair<double, double>> Thinned(const std::vector<std::pair<double, double>>& points) {
  if (points.size() <= kPoints) return points;
  std::vector<std::pair<double, double>> kept;
  const size_t group = (2 * points.size() + kPoints - 1) / kPoints;
  for (size_t begin = 0; begin < points.size(); begin += group) {
    const auto first = points.begin() + static_cast<ptrdiff_t>(begin);
    const auto last = points.begin() + static_cast<ptrdiff_t>(std::min(points.size(), begin + group));
    auto [lowest, highest] =
        std::minmax_element(first, last, [](const auto& a, const auto& b) { return a.second < b.second; });
    if (highest < lowest) std::swap(lowest, highest);
    kept.push_back(*lowest);
    if (lowest != highest) kept.push_back(*highest);
  }
  return kept;
}

absl::StatusOr<Run> ReadRun(const Word& named, const PlotOptions& options, const ClusterOptions& cluster) {
  const std::string& word = named.text;
  Run run;
  if (named.is_file) {
    run.name = NameOf(word);
    SAMOVAR_ASSIGN_OR_RETURN(const std::string text, options.storage.ReadBytes(word, kMaxFileBytes));
    absl::StatusOr<Curve> curve = ParseCurve(text);
    if (!curve.ok()) return Annotate(curve.status(), word);
    run.curve = *std::move(curve);
    return run;
  }
  if (cluster.coordinator.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no file ", word,
                                            "; to plot a job of that name, name its coordinator as well: the last "
                                            "word, HOST:PORT, or --coordinator"));
  }
  run.name = word;
  SAMOVAR_ASSIGN_OR_RETURN(run.curve, JobClient(cluster).History(word, 0, kPoints));
  return run;
}

// Lines of losses, of other results of tests, and of the rate.
void AddLines(const Run& run, size_t color, std::vector<ChartPanel>* panels) {
  const auto add = [&](size_t panel, const std::string& label, size_t dash,
                       std::vector<std::pair<double, double>> points, bool is_test) {
    if (points.empty()) return;
    ChartLine line{absl::StrCat(run.name, " ", label), color, dash, is_test && points.size() <= kMaxMarks, {}};
    line.points = Thinned(points);
    (*panels)[panel].lines.push_back(std::move(line));
  };
  std::vector<std::pair<double, double>> losses, rates;
  for (const Curve::Point& point : run.curve.points) {
    const auto x = static_cast<double>(point.iteration);
    if (std::isfinite(point.loss)) losses.emplace_back(x, point.loss);
    if (std::isfinite(point.learning_rate)) rates.emplace_back(x, point.learning_rate);
  }
  add(0, "train loss", 0, std::move(losses), false);
  size_t loss_dash = 1;
  size_t dash = 0;
  for (size_t i = 0; i < run.curve.test_names.size(); ++i) {
    std::vector<std::pair<double, double>> results;
    for (const Curve::Test& test : run.curve.tests) {
      if (std::isfinite(test.outputs[i])) results.emplace_back(static_cast<double>(test.iteration), test.outputs[i]);
    }
    const std::string& name = run.curve.test_names[i];
    const bool is_loss = absl::StrContains(absl::AsciiStrToLower(name), "loss");
    add(is_loss ? 0 : 1, name, is_loss ? loss_dash++ : dash++, std::move(results), true);
  }
  add(2, "learning rate", 0, std::move(rates), false);
}

// `code`: the exit code, if that fails.
absl::Status Plot(const PlotOptions& options, int* code) {
  SAMOVAR_RETURN_IF_ERROR(CheckDirectory(options.output));
  *code = kExitFailed;
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<Word> words, LookAt(options.runs, options.storage));
  ClusterOptions cluster = options;
  // "JOB ADDRESS", as for other commands.
  if (cluster.coordinator.empty() && words.size() > 1 && absl::StrContains(words.back().text, ':') &&
      !words.back().is_file) {
    cluster.coordinator = words.back().text;
    words.pop_back();
  }
  if (cluster.coordinator.empty()) {
    cluster.coordinator = options.user_coordinator;
    cluster.coordinator_source = options.user_coordinator_source;
  }
  std::vector<ChartPanel> panels = {
      {"loss", options.log, {}}, {"other results of tests", false, {}}, {"learning rate", false, {}}};
  std::vector<std::string> names;
  for (size_t i = 0; i < words.size(); ++i) {
    *code = cluster.coordinator.empty() || words[i].is_file ? kExitUsage : kExitFailed;
    SAMOVAR_ASSIGN_OR_RETURN(const Run run, ReadRun(words[i], options, cluster));
    AddLines(run, i, &panels);
    names.push_back(run.name);
  }
  if (std::all_of(panels.begin(), panels.end(), [](const ChartPanel& panel) { return panel.lines.empty(); })) {
    return absl::FailedPreconditionError(absl::StrCat("there is nothing to plot: ", absl::StrJoin(names, " and "), " ",
                                                      names.size() == 1 ? "has" : "have", " no points yet"));
  }
  *code = kExitFailed;
  return options.storage.PutBytes(options.output, SvgChart(absl::StrJoin(names, ", "), "iteration", panels));
}

}  // namespace

int RunPlot(const PlotOptions& options) {
  if (!absl::EndsWithIgnoreCase(options.output, ".svg")) {
    PrintError(
        absl::StrCat("--output ", options.output, ": plots are written as SVG; name a file that ends with .svg"));
    return kExitUsage;
  }
  int code = kExitUsage;
  const absl::Status status = Plot(options, &code);
  if (status.ok()) {
    std::cout << "written: " << options.output << "\n";
    return kExitOk;
  }
  PrintError(status.message());
  return code;
}

}  // namespace samovar
