#include "cli/doctor/check_disk.h"

#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

// A state directory with less has no room for the snapshots of even a small net beside its old ones.
constexpr uint64_t kStateBytes = uint64_t{1} << 30;

std::string Mebibytes(uint64_t bytes) { return absl::StrCat(bytes >> 20, " MiB"); }

bool IsBelow(const std::string& path, const std::string& directory) {
  return path == directory || absl::StartsWith(path, absl::StrCat(directory, "/"));
}

}  // namespace

std::optional<ServiceUser> FindUser(const std::string& name) {
  const passwd* const entry = getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return ServiceUser{name, entry->pw_uid};
}

Finding CheckDirectory(const std::string& what, const std::string& directory, const std::optional<ServiceUser>& user,
                       uint64_t needed_bytes) {
  const std::string owner = user.has_value() ? user->name : "the service's user";
  const std::string make = absl::StrCat("install -d -o ", owner, " -g ", owner, " -m 750 ", directory);
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0) {
    // The unit makes it where it can; the service itself may not.
    const std::string fact = absl::StrCat(directory, ": ", std::strerror(errno));
    return errno == ENOENT ? Warning(what, fact, absl::StrCat("start the service by its unit, or ", make))
                           : Wrong(what, fact, "run this as root");
  }
  if (!S_ISDIR(info.st_mode)) return Wrong(what, absl::StrCat(directory, " is no directory"), "move it away");
  if (user.has_value() && info.st_uid != user->uid) {
    return Wrong(what, absl::StrCat(directory, " belongs to user ", info.st_uid, ", and not to ", user->name),
                 absl::StrCat("chown -R ", user->name, ":", user->name, " ", directory));
  }
  if ((info.st_mode & S_IRWXU) != S_IRWXU) {
    return Wrong(what, absl::StrCat(owner, " may not write to ", directory), absl::StrCat("chmod u+rwx ", directory));
  }
  struct statvfs disk {};
  if (statvfs(directory.c_str(), &disk) != 0) {
    return Wrong(what, absl::StrCat(directory, ": ", std::strerror(errno)), "look at dmesg: is the disk broken?");
  }
  if ((disk.f_flag & ST_RDONLY) != 0) {
    return Wrong(what, absl::StrCat(directory, " is on a disk that cannot be written to"), "look at dmesg and mount");
  }
  const uint64_t room = uint64_t{disk.f_bavail} * disk.f_frsize;
  const std::string fact = absl::StrCat(directory, " has room for ", Mebibytes(room));
  if (room >= needed_bytes) return Ok(what, fact);
  return Warning(what, absl::StrCat(fact, ", less than ", Mebibytes(needed_bytes)),
                 "make room, or choose another disk");
}

std::vector<Finding> CheckDisks(const NodeRole& role, const std::optional<ServiceUser>& user,
                                const std::string& ephemeral) {
  std::vector<Finding> findings;
  if (!role.state.empty()) {
    const std::string what = absl::StrCat("state of the ", role.role);
    findings.push_back(CheckDirectory(what, role.state, user, kStateBytes));
    if (IsBelow(role.state, ephemeral)) {
      findings.push_back(Warning(
          what,
          absl::StrCat(role.state,
                       " is on the machine's temporary disk, and lost when "
                       "the machine is moved"),
          absl::StrCat("set another directory for `state` in ", role.file, ", or export the snapshots of all jobs")));
    }
  }
  if (!role.cache.empty()) {
    const std::string what = absl::StrCat("cache of the ", role.role);
    findings.push_back(CheckDirectory(what, role.cache, user, 0));
    struct stat above {
    }, disk{};
    if (IsBelow(role.cache, ephemeral) && stat(ephemeral.c_str(), &disk) == 0 &&
        stat(absl::StrCat(ephemeral, "/..").c_str(), &above) == 0 && disk.st_dev == above.st_dev) {
      findings.push_back(Warning(what, absl::StrCat(ephemeral, " is no disk of its own: the cache takes the system's"),
                                 "mount the temporary disk there, or choose another directory for `cache`"));
    }
  }
  return findings;
}

}  // namespace samovar
