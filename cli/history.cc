#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/report/curve.h"
#include "cli/report/exit_codes.h"
#include "cli/run/job_client.h"

namespace samovar {
namespace {

// A table of more points is read by nobody.
constexpr uint32_t kTablePoints = 50;

}  // namespace

int RunHistory(const HistoryOptions& options) {
  const bool is_table = !options.csv && !options.json;
  const uint32_t points = options.points.value_or(is_table ? kTablePoints : 0);
  const absl::StatusOr<Curve> curve = JobClient(options).History(options.job, options.from, points);
  if (!curve.ok()) {
    PrintError(curve.status().message());
    return kExitFailed;
  }
  if (options.csv) {
    std::cout << CurveCsv(*curve);
  } else if (options.json) {
    std::cout << CurveJson(*curve);
  } else if (curve->points.empty() && curve->tests.empty()) {
    std::cout << "job " << options.job << " has no points"
              << (options.from > 0 ? absl::StrCat(" from iteration ", options.from, " on") : " yet") << "\n";
  } else {
    std::cout << CurveTable(*curve);
  }
  return kExitOk;
}

}  // namespace samovar
