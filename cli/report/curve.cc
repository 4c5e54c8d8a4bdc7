#include "cli/report/curve.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/report/json_line.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr char kIteration[] = "iteration";
constexpr char kSeconds[] = "seconds";
constexpr char kRate[] = "images_per_second";
constexpr char kLearningRate[] = "learning_rate";
constexpr char kLoss[] = "loss";
constexpr char kStaleness[] = "staleness";
constexpr char kTrain[] = "train ";

// Names that occur several times are counted.
std::vector<std::string> Unique(const std::vector<std::string>& names) {
  std::map<std::string, int> times, seen;
  for (const std::string& name : names) ++times[name];
  std::vector<std::string> unique;
  for (const std::string& name : names) {
    unique.push_back(times[name] == 1 ? name : absl::StrCat(name, "[", seen[name]++, "]"));
  }
  return unique;
}

std::string TestName(uint32_t net, absl::string_view output) { return absl::StrCat("test", net, " ", output); }

// Takes the values of a test; makes columns for new names.
void AddTest(uint64_t iteration, const std::vector<std::pair<std::string, float>>& values, Curve* curve) {
  Curve::Test test;
  test.iteration = iteration;
  for (const auto& [name, value] : values) {
    const auto found = std::find(curve->test_names.begin(), curve->test_names.end(), name);
    const auto column = static_cast<size_t>(found - curve->test_names.begin());
    if (found == curve->test_names.end()) curve->test_names.push_back(name);
    if (test.outputs.size() <= column) test.outputs.resize(column + 1, kNan);
    test.outputs[column] = value;
  }
  curve->tests.push_back(std::move(test));
}

// All rows get as many values as there are columns.
void Complete(Curve* curve) {
  for (Curve::Point& point : curve->points) point.outputs.resize(curve->output_names.size(), kNan);
  for (Curve::Test& test : curve->tests) test.outputs.resize(curve->test_names.size(), kNan);
}

// Calls one of the two for each row, in the order of iterations; tests of an iteration were made before it.
void ForEachRow(const Curve& curve, const std::function<void(const Curve::Test&)>& test,
                const std::function<void(const Curve::Point&)>& point) {
  auto next = curve.tests.begin();
  for (const Curve::Point& row : curve.points) {
    for (; next != curve.tests.end() && next->iteration <= row.iteration; ++next) test(*next);
    point(row);
  }
  for (; next != curve.tests.end(); ++next) test(*next);
}

// The fewest digits that read back as the same number.
template <typename Number>
std::string Shortest(Number number) {
  char digits[64];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  return {digits, end};
}

std::string Cell(double number, int decimals) {
  return std::isnan(number) ? "" : absl::StrFormat("%.*f", decimals, number);
}

std::string CsvCell(absl::string_view text) {
  if (text.find_first_of(",\"\r\n") == absl::string_view::npos) return std::string(text);
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

// A number that was a float.
std::string FloatCell(double number) { return std::isnan(number) ? "" : Shortest(static_cast<float>(number)); }

using Cells = std::vector<std::string>;

// The columns' names, and the rows.
std::vector<Cells> Rows(const Curve& curve, const Cells& names) {
  std::vector<Cells> rows = {names};
  for (const std::string& name : curve.output_names) rows[0].push_back(absl::StrCat(kTrain, name));
  rows[0].insert(rows[0].end(), curve.test_names.begin(), curve.test_names.end());
  const size_t columns = rows[0].size();
  const size_t first_test = columns - curve.test_names.size();
  ForEachRow(
      curve,
      [&](const Curve::Test& test) {
        Cells row(columns);
        row[0] = absl::StrCat(test.iteration);
        for (size_t i = 0; i < test.outputs.size(); ++i) {
          if (!std::isnan(test.outputs[i])) row[first_test + i] = Shortest(test.outputs[i]);
        }
        rows.push_back(std::move(row));
      },
      [&](const Curve::Point& point) {
        Cells row = {absl::StrCat(point.iteration),  Cell(point.seconds, 3), Cell(point.images_per_second, 1),
                     FloatCell(point.learning_rate), Shortest(point.loss),   FloatCell(point.staleness)};
        for (const float output : point.outputs) row.push_back(Shortest(output));
        row.resize(columns);
        rows.push_back(std::move(row));
      });
  return rows;
}

std::vector<std::string> SplitCsv(absl::string_view line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        cells.back().push_back(line[++i]);
      } else {
        quoted = !quoted;
      }
    } else if (line[i] == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back().push_back(line[i]);
    }
  }
  return cells;
}

absl::Status AtLine(size_t line, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", text));
}

absl::StatusOr<Curve> ParseCsv(const std::vector<absl::string_view>& lines) {
  Curve curve;
  const std::vector<std::string> names = SplitCsv(lines[0]);
  // For each column what takes its values; null: it is not known.
  using Take = std::function<void(float number, double exact, Curve::Point* point, Curve::Test* test)>;
  std::vector<Take> takes;
  for (const std::string& name : names) {
    Take take;
    if (name == kSeconds) {
      take = [](float, double exact, Curve::Point* point, Curve::Test*) { point->seconds = exact; };
    } else if (name == kRate) {
      take = [](float, double exact, Curve::Point* point, Curve::Test*) { point->images_per_second = exact; };
    } else if (name == kLearningRate) {
      take = [](float, double exact, Curve::Point* point, Curve::Test*) { point->learning_rate = exact; };
    } else if (name == kLoss) {
      take = [](float number, double, Curve::Point* point, Curve::Test*) { point->loss = number; };
    } else if (name == kStaleness) {
      take = [](float, double exact, Curve::Point* point, Curve::Test*) { point->staleness = exact; };
    } else if (absl::StartsWith(name, kTrain)) {
      const size_t column = curve.output_names.size();
      curve.output_names.push_back(name.substr(sizeof kTrain - 1));
      take = [column](float number, double, Curve::Point* point, Curve::Test*) {
        point->outputs.resize(std::max(point->outputs.size(), column + 1), kNan);
        point->outputs[column] = number;
      };
    } else if (absl::StartsWith(name, "test")) {
      const size_t column = curve.test_names.size();
      curve.test_names.push_back(name);
      take = [column](float number, double, Curve::Point*, Curve::Test* test) {
        test->outputs.resize(std::max(test->outputs.size(), column + 1), kNan);
        test->outputs[column] = number;
      };
    }
    takes.push_back(std::move(take));
  }
  const auto iteration_column = static_cast<size_t>(std::find(names.begin(), names.end(), kIteration) - names.begin());
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    const std::vector<std::string> cells = SplitCsv(lines[i]);
    if (cells.size() != names.size()) {
      return AtLine(i + 1, absl::StrCat(cells.size(), " columns instead of ", names.size()));
    }
    Curve::Point point;
    Curve::Test test;
    if (!absl::SimpleAtoi(cells[iteration_column], &point.iteration)) {
      return AtLine(i + 1, absl::StrCat("\"", cells[iteration_column], "\" is no iteration"));
    }
    test.iteration = point.iteration;
    bool has_point = false;
    for (size_t k = 0; k < cells.size(); ++k) {
      if (k == iteration_column || cells[k].empty() || takes[k] == nullptr) continue;
      double exact = 0;
      float number = 0;
      if (!absl::SimpleAtod(cells[k], &exact) || !absl::SimpleAtof(cells[k], &number)) {
        return AtLine(i + 1, absl::StrCat("\"", cells[k], "\" is no number"));
      }
      takes[k](number, exact, &point, &test);
      has_point |= names[k] == kLoss;
    }
    if (has_point) curve.points.push_back(std::move(point));
    if (!test.outputs.empty()) curve.tests.push_back(std::move(test));
  }
  return curve;
}

// "NAME = 0.5 (* 1 = 0.5 loss)" behind the words and the number of an output.
std::optional<std::pair<std::string, float>> OutputIn(absl::string_view text) {
  const size_t colon = text.find(": ");
  if (colon == absl::string_view::npos) return std::nullopt;
  const std::pair<std::string, std::string> parts = absl::StrSplit(text.substr(colon + 2), absl::MaxSplits(" = ", 1));
  float value = 0;
  const std::string number = parts.second.substr(0, parts.second.find(' '));
  if (parts.first.empty() || !absl::SimpleAtof(number, &value)) return std::nullopt;
  return std::pair(parts.first, value);
}

// The number behind the words, up to a space or a comma.
std::optional<float> NumberBehind(absl::string_view text, absl::string_view words) {
  const size_t at = text.find(words);
  if (at == absl::string_view::npos) return std::nullopt;
  absl::string_view number = text.substr(at + words.size());
  number = number.substr(0, number.find_first_of(" ,"));
  float value = 0;
  return absl::SimpleAtof(number, &value) ? std::optional(value) : std::nullopt;
}

// LogParser takes the lines of a log, one after the other.
class LogParser {
 public:
  void Take(absl::string_view line) {
    // Behind what glog writes before each line.
    if (const size_t prefix = line.find("] "); prefix != absl::string_view::npos) line = line.substr(prefix + 2);
    line = absl::StripAsciiWhitespace(line);
    if (absl::ConsumePrefix(&line, "Test net output #")) {
      const auto output = OutputIn(line);
      if (test_.has_value() && output.has_value()) test_->emplace_back(output->first, output->second);
    } else if (absl::ConsumePrefix(&line, "Train net output #")) {
      const auto output = OutputIn(line);
      if (has_point_ && output.has_value()) TakeOutput(*output);
    } else if (absl::ConsumePrefix(&line, "Iteration ")) {
      TakeIteration(line);
    }
  }

  Curve Finish() {
    EndTest();
    // A job that has gone back shows some again.
    const auto earlier = [](const auto& a, const auto& b) { return a.iteration < b.iteration; };
    std::stable_sort(curve_.points.begin(), curve_.points.end(), earlier);
    std::stable_sort(curve_.tests.begin(), curve_.tests.end(), earlier);
    return std::move(curve_);
  }

 private:
  void TakeIteration(absl::string_view line) {
    uint64_t iteration = 0;
    if (!absl::SimpleAtoi(line.substr(0, line.find_first_of(" ,")), &iteration)) return;
    if (const size_t net = line.find("Testing net (#"); net != absl::string_view::npos) {
      EndTest();
      test_.emplace();
      test_iteration_ = iteration;
      const absl::string_view number = line.substr(net + 14);
      if (!absl::SimpleAtoi(number.substr(0, number.find(')')), &test_net_)) test_net_ = 0;
    } else if (const std::optional<float> loss = NumberBehind(line, ", loss = ")) {
      EndTest();
      has_point_ = true;
      outputs_ = 0;
      curve_.points.emplace_back();
      curve_.points.back().iteration = iteration;
      curve_.points.back().loss = *loss;
    } else if (const std::optional<float> rate = NumberBehind(line, ", lr = ")) {
      if (has_point_ && curve_.points.back().iteration == iteration) curve_.points.back().learning_rate = *rate;
    }
  }

  void TakeOutput(const std::pair<std::string, float>& output) {
    // The first point has all names.
    if (curve_.points.size() == 1) curve_.output_names.push_back(output.first);
    if (outputs_++ < curve_.output_names.size()) curve_.points.back().outputs.push_back(output.second);
  }

  void EndTest() {
    if (!test_.has_value()) return;
    std::vector<std::string> names;
    for (const auto& [name, value] : *test_) names.push_back(name);
    names = Unique(names);
    for (size_t i = 0; i < names.size(); ++i) (*test_)[i].first = TestName(test_net_, names[i]);
    if (!test_->empty()) AddTest(test_iteration_, *test_, &curve_);
    test_.reset();
  }

  Curve curve_;
  bool has_point_ = false;
  // Outputs of the newest point so far.
  size_t outputs_ = 0;
  std::optional<std::vector<std::pair<std::string, float>>> test_;
  uint64_t test_iteration_ = 0;
  uint32_t test_net_ = 0;
};

}  // namespace

Curve CurveOf(const std::vector<v1::HistoryBlock>& blocks, const std::vector<v1::TestReport>& tests,
              uint64_t first_iteration) {
  Curve curve;
  for (const v1::HistoryBlock& block : blocks) {
    const int points = block.iterations_size();
    // A coordinator of another version may send less.
    if (block.seconds_size() != points || block.losses_size() != points || block.learning_rates_size() != points)
      continue;
    const int outputs = block.outputs_size() == points * block.output_names_size() ? block.output_names_size() : 0;
    if (curve.output_names.empty() && outputs > 0)
      curve.output_names = Unique({block.output_names().begin(), block.output_names().end()});
    for (int i = 0; i < points; ++i) {
      Curve::Point point;
      point.iteration = block.iterations(i);
      point.seconds = block.seconds(i);
      point.learning_rate = block.learning_rates(i);
      point.loss = block.losses(i);
      if (block.staleness_size() == points && block.staleness(i) >= 0) point.staleness = block.staleness(i);
      for (int k = 0; k < outputs; ++k) point.outputs.push_back(block.outputs(i * outputs + k));
      curve.points.push_back(std::move(point));
    }
  }
  std::vector<v1::TestReport> ordered = tests;
  std::stable_sort(ordered.begin(), ordered.end(), [](const v1::TestReport& a, const v1::TestReport& b) {
    return std::pair(a.iteration(), a.net()) < std::pair(b.iteration(), b.net());
  });
  for (const v1::TestReport& test : ordered) {
    if (test.iteration() < first_iteration) continue;
    std::vector<std::string> names;
    for (const v1::NamedValue& output : test.outputs()) names.push_back(output.name());
    names = Unique(names);
    std::vector<std::pair<std::string, float>> values;
    for (size_t i = 0; i < names.size(); ++i) {
      values.emplace_back(TestName(test.net(), names[i]),
                          static_cast<float>(test.outputs(static_cast<int>(i)).value()));
    }
    AddTest(test.iteration(), values, &curve);
  }
  Complete(&curve);
  return curve;
}

void SetRates(uint64_t images_of_iteration, Curve* curve) {
  std::vector<Curve::Point>& points = curve->points;
  for (size_t begin = 0, end = 0; begin < points.size(); begin = end) {
    while (end < points.size() && points[end].seconds == points[begin].seconds) ++end;
    if (end == begin) {
      ++end;
      continue;
    }
    if (begin == 0) continue;
    const double seconds = points[begin].seconds - points[begin - 1].seconds;
    if (!(seconds > 0)) continue;
    const auto images =
        static_cast<double>((points[end - 1].iteration - points[begin - 1].iteration) * images_of_iteration);
    for (size_t i = begin; i < end; ++i) points[i].images_per_second = images / seconds;
  }
}

void Prepend(const Curve& earlier, Curve* curve) {
  const uint64_t first = curve->points.empty() ? UINT64_MAX : curve->points[0].iteration;
  if (!curve->points.empty() && earlier.output_names != curve->output_names) return;
  if (curve->points.empty()) curve->output_names = earlier.output_names;
  std::vector<Curve::Point> points;
  for (const Curve::Point& point : earlier.points) {
    if (point.iteration < first) points.push_back(point);
  }
  // Seconds go on.
  const double seconds = points.empty() || std::isnan(points.back().seconds) ? 0 : points.back().seconds;
  for (Curve::Point& point : curve->points) point.seconds += seconds;
  points.insert(points.end(), curve->points.begin(), curve->points.end());
  curve->points = std::move(points);
  const std::vector<Curve::Test> tests = std::exchange(curve->tests, {});
  const std::vector<std::string> names = std::exchange(curve->test_names, earlier.test_names);
  // The test at the first iteration of this run is this run's, if it made one.
  const uint64_t first_test = tests.empty() ? first : std::min(first, tests[0].iteration);
  for (const Curve::Test& test : earlier.tests) {
    if (test.iteration < first_test) curve->tests.push_back(test);
  }
  for (const Curve::Test& test : tests) {
    std::vector<std::pair<std::string, float>> values;
    for (size_t i = 0; i < test.outputs.size(); ++i) {
      if (!std::isnan(test.outputs[i])) values.emplace_back(names[i], test.outputs[i]);
    }
    AddTest(test.iteration, values, curve);
  }
  Complete(curve);
}

std::string CurveCsv(const Curve& curve) {
  std::string csv;
  for (const Cells& row : Rows(curve, {kIteration, kSeconds, kRate, kLearningRate, kLoss, kStaleness})) {
    for (size_t i = 0; i < row.size(); ++i) absl::StrAppend(&csv, i == 0 ? "" : ",", CsvCell(row[i]));
    csv.push_back('\n');
  }
  return csv;
}

std::string CurveJson(const Curve& curve) {
  std::string json;
  const auto number = [](JsonLine* line, absl::string_view name, double value) {
    if (!std::isnan(value)) line->Number(name, value);
  };
  const auto exact = [](float value) { return std::isfinite(value) ? Shortest(value) : std::string("null"); };
  ForEachRow(
      curve,
      [&](const Curve::Test& test) {
        JsonLine outputs;
        for (size_t i = 0; i < test.outputs.size(); ++i) {
          if (!std::isnan(test.outputs[i])) outputs.Raw(curve.test_names[i], exact(test.outputs[i]));
        }
        absl::StrAppend(&json, JsonLine().Integer(kIteration, test.iteration).Raw("tests", outputs.Finish()).Finish(),
                        "\n");
      },
      [&](const Curve::Point& point) {
        JsonLine outputs;
        for (size_t i = 0; i < point.outputs.size(); ++i) outputs.Raw(curve.output_names[i], exact(point.outputs[i]));
        JsonLine line;
        line.Integer(kIteration, point.iteration);
        number(&line, kSeconds, point.seconds);
        number(&line, kRate, point.images_per_second);
        if (!std::isnan(point.learning_rate)) line.Raw(kLearningRate, exact(static_cast<float>(point.learning_rate)));
        line.Raw(kLoss, exact(point.loss));
        number(&line, kStaleness, point.staleness);
        if (!point.outputs.empty()) line.Raw("outputs", outputs.Finish());
        absl::StrAppend(&json, line.Finish(), "\n");
      });
  return json;
}

std::string CurveTable(const Curve& curve) {
  const std::vector<Cells> rows = Rows(curve, {kIteration, kSeconds, "images/s", "learning rate", kLoss, kStaleness});
  std::vector<size_t> widths(rows[0].size());
  for (const Cells& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string table;
  for (const Cells& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      absl::StrAppend(&line, "  ", std::string(widths[i] - row[i].size(), ' '), row[i]);
    absl::StrAppend(&table, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return table;
}

absl::StatusOr<Curve> ParseCurve(absl::string_view text) {
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  for (absl::string_view& line : lines) absl::ConsumeSuffix(&line, "\r");
  Curve curve;
  const std::vector<std::string> names = SplitCsv(lines[0]);
  if (std::find(names.begin(), names.end(), kIteration) != names.end()) {
    SAMOVAR_ASSIGN_OR_RETURN(curve, ParseCsv(lines));
  } else {
    LogParser parser;
    for (const absl::string_view line : lines) parser.Take(line);
    curve = parser.Finish();
    if (curve.points.empty() && curve.tests.empty()) {
      return absl::InvalidArgumentError(
          "it is neither a CSV of samovar history, whose first line names a column \"iteration\", nor a log in "
          "Caffe's format with lines as \"Iteration 100, loss = 0.5\"");
    }
  }
  Complete(&curve);
  return curve;
}

}  // namespace samovar
