#include "server/jobs/job_exports.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/exported_snapshot.h"
#include "common/storage/file_digest.h"
#include "common/telemetry/log.h"

namespace samovar {

absl::StatusOr<std::vector<std::string>> ExportDirectories(const std::string& job_id, const std::string& into,
                                                           const StorageTable& storage) {
  std::vector<std::string> directories;
  const absl::StatusOr<std::vector<StoredFile>> files = storage.List(into);
  // The first export makes the directory.
  if (absl::IsNotFound(files.status())) return directories;
  SAMOVAR_RETURN_IF_ERROR(files.status());
  for (const StoredFile& file : *files) {
    if (absl::StartsWith(file.name, absl::StrCat(job_id, "_iter_"))) {
      directories.push_back(absl::StrCat(into, "/", file.name));
    }
  }
  return directories;
}

std::vector<std::string> ExportPlaces(const v1::JobSpec& spec) {
  std::vector<std::string> places;
  if (!spec.export_snapshots().empty()) places.push_back(spec.export_snapshots());
  places.insert(places.end(), spec.former_exports().begin(), spec.former_exports().end());
  return places;
}

absl::StatusOr<std::vector<JobExport>> ListExports(const v1::JobSpec& spec, const StorageTable& storage) {
  std::vector<JobExport> exports;
  std::vector<std::string> directories;
  for (const std::string& place : ExportPlaces(spec)) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> here, ExportDirectories(spec.job_id(), place, storage));
    directories.insert(directories.end(), here.begin(), here.end());
  }
  for (const std::string& directory : directories) {
    const absl::StatusOr<ExportedSnapshot> snapshot = ExportedSnapshot::Open(directory, storage);
    absl::StatusOr<std::string> digest = snapshot.ok() ? DigestOfFile(snapshot->manifest_path(), storage)
                                                       : absl::StatusOr<std::string>(snapshot.status());
    // One that the storage cannot give now is no reason to begin from an older one.
    if (absl::IsUnavailable(digest.status())) return digest.status();
    if (!digest.ok()) {
      if (!absl::IsNotFound(digest.status()))
        LogWarning(absl::StrCat(digest.status().message(), "; it is passed over"));
      continue;
    }
    const v1::ExportManifest& manifest = snapshot->manifest();
    if (manifest.spec().job_id() != spec.job_id()) continue;
    exports.push_back({directory, *std::move(digest), manifest.run(), manifest.iteration(), manifest.chunk_elements()});
  }
  std::stable_sort(exports.begin(), exports.end(),
                   [](const JobExport& a, const JobExport& b) { return a.iteration > b.iteration; });
  return exports;
}

}  // namespace samovar
