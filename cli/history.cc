#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/report/curve.h"
#include "cli/report/curve_events.h"
#include "cli/report/event_file.h"
#include "cli/report/exit_codes.h"
#include "cli/run/job_client.h"
#include "cli/run/tensorboard_reporter.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

// A table of more points is read by nobody.
constexpr uint32_t kTablePoints = 50;

// The file's path; empty: there was nothing to write.
absl::StatusOr<std::string> WriteEvents(const Curve& curve, const std::string& directory) {
  const std::optional<uint64_t> first = FirstIteration(curve);
  if (!first.has_value()) return "";
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<EventFile> file, EventFile::Create(directory, *first));
  CurveEvents().AddTo(curve, /*is_whole=*/true, file.get());
  SAMOVAR_RETURN_IF_ERROR(file->Flush());
  return file->path();
}

}  // namespace

int RunHistory(const HistoryOptions& options) {
  const bool is_table = !options.csv && !options.json && options.tensorboard.empty();
  if (const absl::Status writable = MakeTensorBoardDir(options.tensorboard); !writable.ok()) {
    PrintError(writable.message());
    return kExitUsage;
  }
  const uint32_t points = options.points.value_or(is_table ? kTablePoints : 0);
  const absl::StatusOr<Curve> curve = JobClient(options).History(options.job, options.from, points);
  if (!curve.ok()) {
    PrintError(curve.status().message());
    return kExitFailed;
  }
  std::string events;
  if (!options.tensorboard.empty()) {
    const absl::StatusOr<std::string> written = WriteEvents(*curve, options.tensorboard);
    if (!written.ok()) {
      PrintError(written.status().message());
      return kExitFailed;
    }
    events = *written;
  }
  if (!events.empty()) {
    std::cout << "written: " << events << "\n";
  } else if (options.csv) {
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
