#include "server/jobs/snapshot_exporter.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/exported_snapshot.h"
#include "common/storage/paths.h"
#include "common/telemetry/log.h"
#include "server/jobs/job_exports.h"

namespace samovar {
absl::StatusOr<std::string> SnapshotExporter::Export(const Placement& placement, const ParameterServers& servers,
                                                     uint64_t iteration, const std::string& into, uint32_t keep) const {
  const std::string directory = ExportPath(into, spec_.job_id(), iteration);
  if (directory == spec_.initial_model().exported_snapshot()) {
    return absl::FailedPreconditionError(absl::StrCat("the job began from ", directory, ", which stays as it is"));
  }
  // It may be there from before the job went back.
  SAMOVAR_RETURN_IF_ERROR(CheckOwn(directory, placement.run));
  RemoveExport(directory, storage_);
  if (const absl::Status written = Write(placement, servers, iteration, directory); !written.ok()) {
    RemoveExport(directory, storage_);
    return Annotate(written, absl::StrCat("exporting to ", directory));
  }
  RemoveOld(placement, directory, into, keep);
  return directory;
}

absl::Status SnapshotExporter::CheckOwn(const std::string& directory, uint64_t run) const {
  const absl::StatusOr<ExportedSnapshot> there = ExportedSnapshot::Open(directory, storage_);
  if (absl::IsNotFound(there.status())) return absl::OkStatus();
  if (there.ok() && there->manifest().spec().job_id() == spec_.job_id() && there->manifest().run() == run) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      directory, there.ok() ? " is a snapshot of another run" : " holds files that are not known to be this run's",
      "; it stays as it is: move it away, or export to another directory"));
}

absl::Status SnapshotExporter::Write(const Placement& placement, const ParameterServers& servers, uint64_t iteration,
                                     const std::string& directory) const {
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<v1::ExportResponse> responses,
                           servers.Export(spec_.job_id(), epoch_, placement.opening, iteration, directory));
  v1::ExportManifest manifest;
  manifest.set_run(placement.run);
  manifest.set_iteration(iteration);
  manifest.set_chunk_elements(placement.chunk_elements);
  for (v1::ExportResponse& response : responses) manifest.add_files()->Swap(response.mutable_file());
  *manifest.mutable_spec() = spec_;
  manifest.mutable_spec()->clear_train_net();
  manifest.mutable_spec()->clear_test_nets();
  manifest.mutable_spec()->clear_initial_model();
  SAMOVAR_RETURN_IF_ERROR(WriteExportManifest(directory, std::move(manifest), storage_));
  // Whether all servers have written to the same place, this machine knows.
  SAMOVAR_ASSIGN_OR_RETURN(const ExportedSnapshot snapshot, ExportedSnapshot::Open(directory, storage_));
  return snapshot.CheckSizes();
}

void SnapshotExporter::RemoveOld(const Placement& placement, const std::string& written, const std::string& into,
                                 uint32_t keep) const {
  // Iteration, directory.
  std::vector<std::pair<uint64_t, std::string>> others;
  const absl::StatusOr<std::vector<std::string>> exports = ExportDirectories(spec_.job_id(), into, storage_);
  if (!exports.ok()) {
    LogWarning(absl::StrCat("job ", spec_.job_id(), ": old exports stay: ", exports.status().message()));
    return;
  }
  for (const std::string& directory : *exports) {
    if (directory == written || directory == spec_.initial_model().exported_snapshot()) continue;
    const absl::StatusOr<ExportedSnapshot> other = ExportedSnapshot::Open(directory, storage_);
    const bool own =
        other.ok() && other->manifest().spec().job_id() == spec_.job_id() && other->manifest().run() == placement.run;
    if (own) others.emplace_back(other->manifest().iteration(), directory);
  }
  std::sort(others.rbegin(), others.rend());
  for (size_t i = keep - 1; i < others.size(); ++i) RemoveExport(others[i].second, storage_);
}

absl::Status CheckExportDirectory(const v1::JobSpec& spec, const StorageTable& storage) {
  for (const std::string& path : {spec.export_snapshots(), spec.initial_model().exported_snapshot()}) {
    if (!path.empty()) SAMOVAR_RETURN_IF_ERROR(storage.StorageFor(path).status());
  }
  if (!SchemeOf(spec.export_snapshots()).empty()) {
    SAMOVAR_RETURN_IF_ERROR(storage.CheckWritable(absl::StrCat(spec.export_snapshots(), "/manifest")));
  }
  // A job that is resumed goes on with a run that its servers know.
  if (spec.export_snapshots().empty() || spec.job_id().empty() || spec.resume()) return absl::OkStatus();
  std::optional<v1::ExportManifest> begun_from;
  if (!spec.initial_model().exported_snapshot().empty()) {
    const absl::StatusOr<ExportedSnapshot> first =
        ExportedSnapshot::Open(spec.initial_model().exported_snapshot(), storage);
    if (first.ok()) begun_from = first->manifest();
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> exports,
                           ExportDirectories(spec.job_id(), spec.export_snapshots(), storage));
  for (const std::string& directory : exports) {
    const absl::StatusOr<ExportedSnapshot> there = ExportedSnapshot::Open(directory, storage);
    // One that is not whole, or something else; whether it can be replaced is seen when its iteration comes.
    if (!there.ok() || there->manifest().spec().job_id() != spec.job_id()) continue;
    const v1::ExportManifest& manifest = there->manifest();
    const bool before_this = begun_from.has_value() && manifest.run() == begun_from->run() &&
                             manifest.iteration() <= begun_from->iteration();
    if (before_this) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        directory, " is a snapshot of another run of job \"", spec.job_id(), "\"; export to another directory than ",
        spec.export_snapshots(), ", move that one away, give the job another id, or go on from it (--restore)"));
  }
  return absl::OkStatus();
}

}  // namespace samovar
