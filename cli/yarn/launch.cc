#include "cli/yarn/launch.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/loader.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/storage/file_digest.h"
#include "common/storage/paths.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPieceBytes = 4 << 20;
// Enough of a digest for a directory's name.
constexpr size_t kDigestCharacters = 16;
constexpr const char* kConfigurationFiles[] = {"core-site.xml", "hdfs-site.xml"};

std::string Trimmed(std::string uri) {
  while (absl::EndsWith(uri, "/") && !absl::EndsWith(uri, "://") && !absl::EndsWith(uri, ":///")) uri.pop_back();
  return uri;
}

absl::Status Copy(const std::string& from, const std::string& to, const StorageTable& storage) {
  return storage.Put(to, [&](int fd) -> absl::Status {
    SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader, storage.OpenRange(from, 0, UINT64_MAX));
    std::vector<char> buffer(kPieceBytes);
    while (true) {
      SAMOVAR_ASSIGN_OR_RETURN(const size_t count, reader->Read(buffer));
      if (count > 0) SAMOVAR_RETURN_IF_ERROR(WriteAll(to, {buffer.data(), count}, fd));
      if (count < buffer.size()) return absl::OkStatus();
    }
  });
}

// Puts a file of this machine into the directory "bundles" beside the home, unless it is there already; its URI.
absl::StatusOr<std::string> PutBeside(const std::string& home, const std::string& path, const StorageTable& storage,
                                      bool dry) {
  SAMOVAR_ASSIGN_OR_RETURN(const StoredFile file, storage.Stat(path));
  if (file.is_directory) return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory, not a file"));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string digest, DigestOfFile(path, storage));
  const std::string uri = absl::StrCat(home.substr(0, home.rfind('/')), "/bundles/",
                                       digest.substr(0, kDigestCharacters), "/", fs::path(path).filename().string());
  const absl::StatusOr<StoredFile> there = dry ? absl::NotFoundError("") : storage.Stat(uri);
  if (dry || (there.ok() && there->bytes == file.bytes)) return uri;
  if (!there.ok() && !absl::IsNotFound(there.status())) return there.status();
  SAMOVAR_RETURN_IF_ERROR(Copy(path, uri, storage));
  return uri;
}

// The tarball that this program was unpacked from, or that was made of its build.
absl::StatusOr<std::string> FindBundle() {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string self, ProgramPath());
  const fs::path directory = fs::path(self).parent_path().parent_path();
  const std::string name = absl::StrCat("samovar-", Version(), "-linux-x86_64.tar.gz");
  for (const fs::path& path : {directory.parent_path() / name, directory / name}) {
    std::error_code error;
    if (fs::is_regular_file(path, error)) return path.string();
  }
  return absl::NotFoundError(absl::StrCat(
      "there is no ", name, " beside this program's directory; name the tarball, here or in storage, with --bundle"));
}

}  // namespace

absl::StatusOr<std::string> UsualHome(const std::string& name, const HadoopConfiguration& configuration) {
  const std::string by_default = configuration.Get("fs.defaultFS");
  const std::string scheme(SchemeOf(by_default));
  if (scheme.empty() || scheme == "file") {
    return absl::InvalidArgumentError(
        "fs.defaultFS of core-site.xml (HADOOP_CONF_DIR) names no storage of a cluster; name a directory with --home "
        "URI");
  }
  const char* variable = std::getenv("HADOOP_USER_NAME");
  const passwd* self = getpwuid(geteuid());
  const std::string user = variable != nullptr && *variable != '\0' ? variable
                           : self != nullptr                        ? self->pw_name
                                                                    : absl::StrCat(geteuid());
  return absl::StrCat(scheme, ":///user/", user, "/samovar/", name);
}

absl::StatusOr<ServicePlan> CompletePlan(ServicePlan plan, const std::string& hadoop_conf,
                                         const HadoopConfiguration& configuration, const StorageTable& storage,
                                         bool dry) {
  if (plan.home.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(plan.home, UsualHome(plan.name, configuration));
  }
  plan.home = Trimmed(plan.home);
  if (SchemeOf(plan.home).empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--home ", plan.home,
        ": containers on other nodes do not see a path of this machine; name a directory in storage, hdfs:///..."));
  }
  if (plan.bundle.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(plan.bundle, FindBundle());
  }
  if (plan.principal.empty() != plan.keytab.empty()) {
    return absl::InvalidArgumentError(
        "--principal and --keytab go together: with them the service asks for new tokens");
  }
  // Before anything is written.
  SAMOVAR_RETURN_IF_ERROR(CheckServicePlan(plan));
  if (SchemeOf(plan.bundle).empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(plan.bundle, PutBeside(plan.home, plan.bundle, storage, dry));
  }
  if (hadoop_conf.empty()) return plan;
  for (const char* name : kConfigurationFiles) {
    const std::string path = absl::StrCat(hadoop_conf, "/", name);
    if (!storage.Exists(path)) continue;
    SAMOVAR_ASSIGN_OR_RETURN(std::string uri, PutBeside(plan.home, path, storage, dry));
    plan.configuration.push_back(std::move(uri));
  }
  if (plan.configuration.empty()) {
    return absl::NotFoundError(
        absl::StrCat("--hadoop-conf ", hadoop_conf, ": has neither core-site.xml nor hdfs-site.xml"));
  }
  return plan;
}

absl::StatusOr<ServicePlan> LaunchService(const ServicePlan& plan, const std::string& hadoop_conf,
                                          const HadoopConfiguration& configuration, const StorageTable& storage,
                                          ResourceManager* manager) {
  const absl::StatusOr<std::string> there = manager->Describe(plan.name);
  if (there.ok()) return IsTaken(plan.name);
  if (!absl::IsNotFound(there.status())) return there.status();
  SAMOVAR_ASSIGN_OR_RETURN(ServicePlan completed,
                           CompletePlan(plan, hadoop_conf, configuration, storage, /*dry=*/false));
  SAMOVAR_RETURN_IF_ERROR(manager->Launch(completed.name, ServiceSpecification(completed)));
  return completed;
}

}  // namespace samovar
