// ClusterNews finds what has changed in a cluster that a user should know, as lines: members that joined or are gone,
// jobs that began, ended or wait, problems that came or went.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "samovar/v1/status.pb.h"

namespace samovar {

class ClusterNews {
 public:
  // The lines since the last call; of the first one what the cluster consists of.
  std::vector<std::string> Take(const v1::ClusterStatus& cluster);

 private:
  void TakeMembers(const v1::ClusterStatus& cluster, std::vector<std::string>* lines);
  void TakeJobs(const v1::ClusterStatus& cluster, std::vector<std::string>* lines);
  void TakeProblems(const v1::ClusterStatus& cluster, std::vector<std::string>* lines);

  bool first_ = true;
  uint64_t epoch_ = 0;
  // "worker w3 (12) on host-3"
  std::set<std::string> members_;
  // Also those that are not there, or silent.
  std::set<std::string> known_;
  // By id: the state, and why it waits, without numbers that may be ages.
  std::map<std::string, std::string> jobs_;
  // Without their numbers, which may be ages: the texts.
  std::map<std::string, std::string> problems_;
};

}  // namespace samovar
