// samovar: the user's command.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <variant>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "common/base/fault_report.h"
#include "common/base/loader.h"
#include "common/base/open_files.h"
#include "common/base/version.h"
#include "common/remote/schemes.h"
#include "common/rpc/grpc_log.h"
#include "common/telemetry/log.h"
#include "config/cli_flags.h"
#include "config/completion.h"
#include "worker/nn/engine.h"

namespace samovar {
namespace {

struct Runner {
  int operator()(const TrainOptions& options) const { return RunTrain(options); }
  int operator()(const CheckOptions& options) const { return RunCheck(options); }
  int operator()(const TestOptions& options) const { return RunTest(options); }
  int operator()(const FeaturesOptions& options) const { return RunFeatures(options); }
  int operator()(const TimeOptions& options) const { return RunTime(options); }
  int operator()(const PlanOptions& options) const { return RunPlan(options); }
  int operator()(const StatusOptions& options) const { return RunStatus(options); }
  int operator()(const SubmitOptions& options) const { return RunSubmit(options); }
  int operator()(const JobsOptions& options) const { return RunJobs(options); }
  int operator()(const WatchOptions& options) const { return RunWatch(options); }
  int operator()(const CancelOptions& options) const { return RunCancel(options); }
  int operator()(const ForgetOptions& options) const { return RunForget(options); }
  int operator()(const LogsOptions& options) const { return RunLogs(options); }
  int operator()(const HistoryOptions& options) const { return RunHistory(options); }
  int operator()(const PlotOptions& options) const { return RunPlot(options); }
  int operator()(const ModelExportOptions& options) const { return RunModelExport(options); }
  int operator()(const SnapshotExportOptions& options) const { return RunSnapshotExport(options); }
  int operator()(const ImportIdxOptions& options) const { return RunImportIdx(options); }
  int operator()(const ImportCifar10Options& options) const { return RunImportCifar10(options); }
  int operator()(const ImportLevelDbOptions& options) const { return RunImportLevelDb(options); }
  int operator()(const ImportImagesFlags& options) const { return RunImportImages(options); }
  int operator()(const DataPartitionOptions& options) const { return RunDataPartition(options); }
  int operator()(const WritePartitionOptions& options) const { return RunWritePartition(options); }
  int operator()(const WriteManifestOptions& options) const { return RunWriteManifest(options); }
  int operator()(const DataMeanOptions& options) const { return RunDataMean(options); }
  int operator()(const DataInfoOptions& options) const { return RunDataInfo(options); }
  int operator()(const FsListOptions& options) const { return RunFsList(options); }
  int operator()(const FsCatOptions& options) const { return RunFsCat(options); }
  int operator()(const FsCopyOptions& options) const { return RunFsCopy(options); }
  int operator()(const FsRemoveOptions& options) const { return RunFsRemove(options); }
  int operator()(const YarnLaunchOptions& options) const { return RunYarnLaunch(options); }
  int operator()(const YarnStatusOptions& options) const { return RunYarnStatus(options); }
  int operator()(const YarnFlexOptions& options) const { return RunYarnFlex(options); }
  int operator()(const YarnLogsOptions& options) const { return RunYarnLogs(options); }
  int operator()(const YarnStopOptions& options) const { return RunYarnStop(options); }
  int operator()(const YarnTrainOptions& options) const { return RunYarnTrain(options); }
  int operator()(const DoctorOptions& options) const { return RunDoctor(options); }
  int operator()(const VersionFlags&) const {
    std::cout << "samovar " << Version() << " (engine for " << EngineLevel() << ")\n";
    return EXIT_SUCCESS;
  }
  int operator()(const CompletionFlags& flags) const {
    if (!flags.line.empty()) {
      std::cout << CompletionText(Complete(flags.line, [&](const std::string& coordinator) {
        return JobNames({coordinator, {}, flags.storage});
      }));
    } else {
      std::cout << CompletionScript(flags.shell);
    }
    return EXIT_SUCCESS;
  }
};

// Output that is lost is no success. The output of `train` is a log: its results are files.
int Ended(int code, const CliFlags& flags) {
  errno = 0;
  std::cout.flush();
  const bool lost = std::fflush(stdout) != 0 || !std::cout.good() || std::ferror(stdout) != 0;
  if (!lost || code != kExitOk || std::holds_alternative<TrainOptions>(flags)) return code;
  // The program that read it, `head` say, may have had enough.
  if (errno != EPIPE)
    PrintError(absl::StrCat("the output cannot be written: ", std::strerror(errno != 0 ? errno : EIO)));
  return kExitFailed;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  if (const absl::Status status = samovar::KeepToInstructionSet(samovar::EngineLevel(), argv); !status.ok()) {
    samovar::PrintError(status.message());
    return samovar::kExitUsage;
  }
  samovar::ReportFaults("samovar", samovar::kExitFailed);
  if (const absl::Status status = samovar::RaiseOpenFileLimit(); !status.ok()) {
    samovar::PrintError(status.message());
    return samovar::kExitUsage;
  }
  // Commands print their messages to the user; the log is for the clients' libraries.
  if (!samovar::InitLogging({"samovar", "warning"}).ok()) return EXIT_FAILURE;
  samovar::RouteGrpcLog();
  const samovar::Parsed<samovar::CliFlags> parsed = samovar::ParseCliFlags(
      argc, argv,
      samovar::ProgramStorage({}, [](const std::string& news) { std::cerr << "samovar: " << news << std::endl; }));
  if (parsed.exit_code.has_value()) return *parsed.exit_code;
  return samovar::Ended(std::visit(samovar::Runner(), parsed.flags), parsed.flags);
}
