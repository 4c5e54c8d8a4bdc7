#include "server/coordinator/snapshot_exporter.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/exported_snapshot.h"

namespace samovar {

absl::StatusOr<std::string> SnapshotExporter::Export(const Placement& placement, const ParameterServers& servers, uint64_t iteration,
                                                     const std::string& into, uint32_t keep) const {
  const std::string directory = ExportPath(into, spec_.job_id(), iteration);
  if (directory == spec_.initial_model().exported_snapshot()) {
    return absl::FailedPreconditionError(absl::StrCat("the job began from ", directory, ", which stays as it is"));
  }
  // It may be there from before the job went back, or of an earlier run.
  RemoveExport(directory);
  if (const absl::Status written = Write(placement, servers, iteration, directory); !written.ok()) {
    RemoveExport(directory);
    return Annotate(written, absl::StrCat("exporting to ", directory));
  }
  RemoveOld(placement, directory, into, keep);
  return directory;
}

absl::Status SnapshotExporter::Write(const Placement& placement, const ParameterServers& servers, uint64_t iteration,
                                     const std::string& directory) const {
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<v1::ExportResponse> responses, servers.Export(spec_.job_id(), epoch_, iteration, directory));
  v1::ExportManifest manifest;
  manifest.set_run(placement.run);
  manifest.set_iteration(iteration);
  manifest.set_chunk_elements(placement.chunk_elements);
  for (v1::ExportResponse& response : responses) manifest.add_files()->Swap(response.mutable_file());
  *manifest.mutable_spec() = spec_;
  manifest.mutable_spec()->clear_train_net();
  manifest.mutable_spec()->clear_test_nets();
  manifest.mutable_spec()->clear_initial_model();
  SAMOVAR_RETURN_IF_ERROR(WriteExportManifest(directory, std::move(manifest)));
  // Whether all servers have written to the same place, this machine knows.
  SAMOVAR_ASSIGN_OR_RETURN(const ExportedSnapshot snapshot, ExportedSnapshot::Open(directory));
  return snapshot.CheckSizes();
}

void SnapshotExporter::RemoveOld(const Placement& placement, const std::string& written, const std::string& into, uint32_t keep) const {
  // Of the same run, iteration, directory.
  std::vector<std::tuple<bool, uint64_t, std::string>> others;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(into, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const std::string directory = absl::StrCat(into, "/", name);
    if (!absl::StartsWith(name, absl::StrCat(spec_.job_id(), "_iter_")) || directory == written ||
        directory == spec_.initial_model().exported_snapshot()) {
      continue;
    }
    const absl::StatusOr<ExportedSnapshot> other = ExportedSnapshot::Open(directory);
    if (!other.ok() || other->manifest().spec().job_id() != spec_.job_id()) continue;
    others.emplace_back(other->manifest().run() == placement.run, other->manifest().iteration(), directory);
  }
  std::sort(others.rbegin(), others.rend());
  for (size_t i = keep - 1; i < others.size(); ++i) RemoveExport(std::get<2>(others[i]));
}

}  // namespace samovar
