#include "cli/terminal/views.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cli/report/progress.h"
#include "cli/report/status_table.h"
#include "cli/terminal/member_tables.h"
#include "common/base/printable.h"
#include "common/model/consistency.h"

namespace samovar {
namespace {

// The curve has at least so many rows, or is left out.
constexpr int kLeastCurve = 4;
// Rows of a table that are shown before another gets more than its first ones.
constexpr int kFirstRows = 2;

using Lines = std::vector<StyledLine>;

Style StyleOf(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_RUNNING:
    case v1::JOB_STATE_SUCCEEDED:
      return Style::kGood;
    case v1::JOB_STATE_QUEUED:
      return Style::kWarning;
    default:
      return Style::kBad;
  }
}

// The text in lines of so many columns, broken at blanks where there are some.
std::vector<std::string> Wrapped(absl::string_view text, int columns) {
  std::vector<std::string> lines = {""};
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    const bool first = lines.back().empty();
    if (!first && TextColumns(lines.back()) + 1 + TextColumns(word) > columns) lines.emplace_back();
    absl::StrAppend(&lines.back(), lines.back().empty() ? "" : " ", word);
  }
  return lines;
}

// Adds all that is wrong, the whole texts as far as so many lines hold them; the last line says how much more there is.
void AddProblems(const ClusterViewData& data, size_t most, int columns, Lines* lines) {
  if (!data.trouble.empty()) lines->push_back({{absl::StrCat("! ", data.trouble), Style::kBad}});
  const auto& problems = data.cluster.problems();
  const auto count = static_cast<size_t>(problems.size());
  size_t left = most;
  for (size_t i = 0; i < count; ++i) {
    const size_t later = count - i - 1;
    if (left == 1 && later > 0) {
      lines->push_back({{absl::StrCat("! and ", later + 1, " more: samovar status"), Style::kBad}});
      return;
    }
    const std::string text = Printable(problems.Get(static_cast<int>(i)));
    std::vector<std::string> wrapped = Wrapped(text, columns - 2);
    // Each problem has its first line, or a share of the last.
    if (wrapped.size() + std::min<size_t>(later, 1) > left) wrapped = {text};
    for (size_t k = 0; k < wrapped.size(); ++k)
      lines->push_back({{absl::StrCat(k == 0 ? "! " : "  ", wrapped[k]), Style::kBad}});
    left -= wrapped.size();
  }
}

StyledLine Footer(const ClusterViewData& data, int columns) {
  const std::string keys = "q quit  ? help  tab next table  up/down scroll";
  const std::string time = absl::FormatTime("%H:%M:%S", data.now, absl::LocalTimeZone());
  const int gap = columns - TextColumns(keys) - TextColumns(time);
  return {{gap < 1 ? keys : absl::StrCat(keys, std::string(static_cast<size_t>(gap), ' '), time), Style::kDim}};
}

Lines HelpLines(bool of_job) {
  std::vector<std::string> texts = {
      "",
      of_job ? "q       ends this view; the job goes on" : "q       ends this view; the cluster goes on",
      "Ctrl-C  the same, with exit code 130",
      "tab     the next table takes the keys; its head is marked",
      "up, down, page up, page down, home, end, k, j, space   scroll that table",
      "?       this help, or back",
      "",
      "Rates and shares are of the last 10 seconds, 0 when nothing moves. Workers:",
      "compute, and waits for records, for servers to take gradients (push), for",
      "weights (pull); what is missing to 100% is idle. cpu: of a thread, while it",
      "computes. stale: updates of others between the weights of a gradient and",
      "itself; 50 and 99 of 100 gradients have no more. heard: how long ago; all",
      "figures of the row are as old.",
      "",
      "Red: something is wrong. Yellow: waits, has failed lately, or is slow.",
      "Grey: has nothing to do.",
  };
  if (of_job) {
    texts.push_back("Curve: the loss of each iteration, and, bright, the mean of each column. Single");
    texts.push_back("values far above all others are at its upper edge.");
  }
  Lines lines;
  for (const std::string& text : texts) lines.push_back({{text}});
  return lines;
}

// Shares `left` rows among tables of so many rows, heads included, and a curve. Returns the tables' rows and the
// curve's.
std::pair<std::array<int, kTables>, int> ShareRows(const std::array<int, kTables>& wanted, bool curve, int left) {
  std::array<int, kTables> rows = {};
  // A head without a row says that there is none.
  for (const int rows_wanted : wanted) left -= rows_wanted >= 0 ? 1 : 0;
  const auto grow = [&](size_t table, int most) {
    const int more = std::clamp(std::min(most, wanted[table]) - rows[table], 0, std::max(0, left));
    rows[table] += more;
    left -= more;
  };
  for (size_t table = 0; table < kTables; ++table) grow(table, kFirstRows);
  int curve_rows = 0;
  const auto grow_curve = [&](int most) {
    const int more = std::clamp(most - curve_rows, 0, std::max(0, left));
    if (!curve || curve_rows + more < kLeastCurve) return;
    curve_rows += more;
    left -= more;
  };
  grow_curve(6);
  for (const int most : {4, 8}) {
    for (size_t table = 0; table < kTables; ++table) grow(table, most);
  }
  grow_curve(14);
  for (size_t table = 0; table < kTables; ++table) grow(table, 1 << 20);
  grow_curve(1 << 20);
  return {rows, curve_rows};
}

struct NamedTable {
  std::string name;
  Table table;
  // The newest rows, which are the last, are shown unless it is scrolled.
  bool from_end = false;
};

// Appends the tables, scrolled as the state says.
void AddTables(const std::array<NamedTable, kTables>& tables, const std::array<int, kTables>& rows, int columns,
               ViewState* state, Lines* lines) {
  for (size_t i = 0; i < kTables; ++i) {
    const int all = static_cast<int>(tables[i].table.rows.size());
    int& scrolled = state->scrolled[i];
    scrolled = std::clamp(scrolled, 0, std::max(0, all - rows[i]));
    TablePart part = {tables[i].name, scrolled, rows[i], state->focus == i};
    // Up is towards the older ones.
    if (tables[i].from_end) part.first = std::max(0, all - rows[i]) - scrolled;
    if (all == 0) part.name = absl::StrCat("no ", tables[i].name);
    for (StyledLine& line : ShowTable(tables[i].table, part, columns)) lines->push_back(std::move(line));
  }
}

// Cuts the lines to the size, and puts the footer into the last row.
Lines Finished(Lines lines, const ClusterViewData& data, const ViewSize& size) {
  lines.resize(static_cast<size_t>(std::max(0, size.rows - 1)));
  if (size.rows > 0) lines.push_back(Footer(data, size.columns));
  for (StyledLine& line : lines) line = CutLine(std::move(line), size.columns);
  return lines;
}

StyledLine Between(StyledLine left, const std::string& right, int columns) {
  const int gap = columns - TextColumns(TextOf(left)) - TextColumns(right);
  if (gap >= 2) left.push_back({absl::StrCat(std::string(static_cast<size_t>(gap), ' '), right), Style::kDim});
  return left;
}

StyledLine ProgressLine(const JobViewData& data, const ViewSize& size) {
  const v1::JobStatus& job = data.job;
  const double part =
      job.max_iter() > 0 ? static_cast<double>(job.iteration()) / static_cast<double>(job.max_iter()) : 0;
  std::string text = absl::StrFormat(" %d/%d  %.0f%%", job.iteration(), job.max_iter(), std::floor(100 * part));
  if (job.eta_seconds() > 0 && data.trouble.empty())
    absl::StrAppend(&text, "  ", FormatDuration(job.eta_seconds()), " left");
  const int bar = std::clamp(size.columns - TextColumns(text), 0, 100);
  return {{ProgressBar(part, bar, size.utf8), Style::kGood}, {text, Style::kBold}};
}

// The figures that fit into so many columns, the most important first.
std::string FiguresText(const JobViewData& data, int columns) {
  const v1::JobStatus& job = data.job;
  const bool begun = job.completed_iterations() > job.resumed_from();
  std::vector<std::string> figures;
  if (begun) figures.push_back(absl::StrFormat("loss %.4g", job.loss()));
  if (begun) figures.push_back(absl::StrFormat("mean of 100: %.4g", job.smoothed_loss()));
  if (begun) figures.push_back(absl::StrFormat("lr %.4g", job.learning_rate()));
  figures.push_back(absl::StrFormat("%.0f images/s", data.trouble.empty() ? job.images_per_second() : 0));
  if (job.workers() > 0) figures.push_back(absl::StrCat(job.workers(), job.workers() == 1 ? " worker" : " workers"));
  if (job.seconds() > 0) figures.push_back(absl::StrCat("running for ", FormatDuration(job.seconds())));
  figures.push_back(absl::StrFormat("on average %.0f images/s", job.mean_images_per_second()));
  std::string text;
  for (const std::string& figure : figures) {
    if (!text.empty() && TextColumns(text) + 2 + TextColumns(figure) > columns) break;
    absl::StrAppend(&text, text.empty() ? "" : "  ", figure);
  }
  return text;
}

std::string SnapshotText(const JobViewData& data) {
  const v1::JobStatus& job = data.job;
  if (job.snapshots().empty()) return "";
  std::string text = absl::StrCat("snapshot ", *job.snapshots().rbegin());
  const uint64_t when = job.snapshot_details().empty() ? 0 : job.snapshot_details().rbegin()->unix_ms();
  if (when != 0 && data.cluster.unix_ms() >= when)
    absl::StrAppend(&text, ", ", FormatDuration(static_cast<double>(data.cluster.unix_ms() - when) / 1000), " ago");
  return text;
}

// The newest test of each net, one line each.
void AddTests(const JobViewData& data, size_t most, Lines* lines) {
  std::vector<const v1::TestReport*> newest;
  for (const v1::TestReport& test : data.job.tests()) {
    const auto same = std::find_if(newest.begin(), newest.end(),
                                   [&](const v1::TestReport* other) { return other->net() == test.net(); });
    if (same == newest.end()) {
      newest.push_back(&test);
    } else if ((*same)->iteration() <= test.iteration()) {
      *same = &test;
    }
  }
  if (newest.size() > most) newest.resize(most);
  for (const v1::TestReport* test : newest) {
    StyledLine line = {{absl::StrCat("test #", test->net(), " at ", test->iteration(), ":")}};
    for (const v1::NamedValue& output : test->outputs())
      line.push_back({absl::StrFormat("  %s %.4g", Printable(output.name()), output.value()), Style::kBold});
    lines->push_back(std::move(line));
  }
}

}  // namespace

std::vector<StyledLine> JobView(const JobViewData& data, const ViewSize& size, ViewState* state) {
  const v1::JobStatus& job = data.job;
  Lines lines;
  lines.push_back(
      Between({{absl::StrCat("job ", job.job_id()), Style::kBold},
               {absl::StrCat("  ", StateText(job.state())), StyleOf(job.state())},
               {absl::StrCat("  ", data.net, "  ", ConsistencyText(job.consistency()), "  weight ", job.weight())}},
              data.coordinator, size.columns));
  if (state->help) {
    for (StyledLine& line : HelpLines(/*of_job=*/true)) lines.push_back(std::move(line));
    return Finished(std::move(lines), data, size);
  }
  const bool small = size.rows < 30;
  AddProblems(data, small ? 3 : 8, size.columns, &lines);
  lines.push_back(ProgressLine(data, size));
  lines.push_back({{FiguresText(data, size.columns), data.trouble.empty() ? Style::kPlain : Style::kDim}});
  const size_t figures = lines.size() - 1;
  AddTests(data, small ? 2 : 4, &lines);
  // Where there is room for it.
  const std::string snapshot = SnapshotText(data);
  for (size_t line = figures; line < lines.size() && !snapshot.empty(); ++line) {
    const size_t pieces = lines[line].size();
    lines[line] = Between(std::move(lines[line]), snapshot, size.columns);
    if (lines[line].size() > pieces) break;
  }

  const std::array<NamedTable, kTables> tables = {{{"workers", WorkerTable(data.cluster, job.job_id())},
                                                   {"servers", ServerTable(data.cluster, &job)},
                                                   {"events", EventTable(data.events), /*from_end=*/true}}};
  std::array<int, kTables> wanted = {};
  for (size_t i = 0; i < kTables; ++i) wanted[i] = static_cast<int>(tables[i].table.rows.size());
  const auto [rows, curve_rows] =
      ShareRows(wanted, !data.curve.empty(), size.rows - 1 - static_cast<int>(lines.size()));
  if (curve_rows > 0) {
    PlotFrame frame;
    // The last row is for the iterations.
    frame.rows = curve_rows - 1;
    frame.columns = size.columns;
    frame.first_x = data.curve.front().x;
    frame.last_x = std::max(data.curve.back().x, frame.first_x + 1);
    frame.utf8 = size.utf8;
    for (StyledLine& line : PlotCurve(data.curve, frame)) lines.push_back(std::move(line));
    lines.push_back(Between({{absl::StrFormat("          %.0f  loss by iteration", frame.first_x), Style::kDim}},
                            absl::StrFormat("%.0f", data.curve.back().x), size.columns));
  }
  AddTables(tables, rows, size.columns, state, &lines);
  return Finished(std::move(lines), data, size);
}

std::vector<StyledLine> ClusterView(const ClusterViewData& data, const ViewSize& size, ViewState* state) {
  const v1::ClusterStatus& cluster = data.cluster;
  Lines lines;
  double images = 0;
  for (const v1::WorkerStatus& worker : cluster.workers()) images += worker.images_per_second();
  lines.push_back(
      Between({{absl::StrCat("cluster ", data.coordinator), Style::kBold},
               {absl::StrFormat("  %.0f images/s", data.trouble.empty() ? images : 0)},
               {absl::StrCat("  epoch ", cluster.epoch(), "  up ", FormatDuration(cluster.uptime_seconds()))}},
              absl::StrCat("samovar ", cluster.version()), size.columns));
  if (state->help) {
    for (StyledLine& line : HelpLines(/*of_job=*/false)) lines.push_back(std::move(line));
    return Finished(std::move(lines), data, size);
  }
  AddProblems(data, size.rows < 30 ? 5 : 12, size.columns, &lines);
  if (data.trouble.empty() && cluster.problems().empty())
    lines.push_back({{"nothing is wrong that is known", Style::kGood}});
  const std::array<NamedTable, kTables> tables = {
      {{"jobs", JobTable(cluster)}, {"workers", WorkerTable(cluster, "")}, {"servers", ServerTable(cluster, nullptr)}}};
  std::array<int, kTables> wanted = {};
  for (size_t i = 0; i < kTables; ++i) wanted[i] = static_cast<int>(tables[i].table.rows.size());
  const auto [rows, curve_rows] = ShareRows(wanted, /*curve=*/false, size.rows - 1 - static_cast<int>(lines.size()));
  AddTables(tables, rows, size.columns, state, &lines);
  return Finished(std::move(lines), data, size);
}

}  // namespace samovar
