// StatusChanges leaves out of a status what its reader has already: members and jobs that are as they were, but for
// their ages.
//
// Thread safety: none; one for each reader.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "samovar/v1/status.pb.h"

namespace samovar {

class StatusChanges {
 public:
  // The first status is whole; of each later one what has changed since the one before. Nothing: nothing has.
  std::optional<v1::ClusterStatus> Next(v1::ClusterStatus status);

 private:
  // By address, by id: the serialised entry without its ages.
  std::map<std::string, std::string> servers_;
  std::map<uint64_t, std::string> workers_;
  std::map<std::string, std::string> jobs_;
  // The rest of the status.
  std::string rest_;
  bool first_ = true;
};

}  // namespace samovar
