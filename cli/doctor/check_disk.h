// The checks of `samovar doctor` on the disks: the directories that services write to.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/doctor/finding.h"
#include "cli/doctor/node_role.h"

namespace samovar {

// The user that the services run as.
struct ServiceUser {
  std::string name = "";
  uid_t uid = 0;
};

// Nothing: this machine has no such user.
std::optional<ServiceUser> FindUser(const std::string& name);

// Whether the directory is there, the user's own, and has room for `needed_bytes`. `what`: "state of the server".
Finding CheckDirectory(const std::string& what, const std::string& directory, const std::optional<ServiceUser>& user,
                       uint64_t needed_bytes);

// State and cache of a role. `ephemeral`: where the machine's temporary disk is, "/mnt/resource".
std::vector<Finding> CheckDisks(const NodeRole& role, const std::optional<ServiceUser>& user,
                                const std::string& ephemeral);

}  // namespace samovar
