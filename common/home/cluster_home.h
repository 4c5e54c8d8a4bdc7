// ClusterHome is a directory in a storage by which a cluster outlives its coordinator's machine: it says which epochs
// were claimed, and where the coordinator of the newest one is.
//
//   HOME/epochs/00000000000000000007   of epoch 7: made by the coordinator that has claimed it, in which it then writes
//                                      its address
//   HOME/jobs/...                      the coordinator's jobs (server/jobs/home_job_table.h)
//
// A coordinator claims an epoch by making its file, which the storage lets only one do. The coordinator of the highest
// epoch is the cluster's: servers refuse the calls of any lower one once they have heard of a higher.
//
// Thread safety: all methods may be called from any thread. All do I/O; errors name the file.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/storage_table.h"

namespace samovar {

class ClusterHome {
 public:
  struct Coordinator {
    uint64_t epoch = 0;
    // "host:port"
    std::string address;
  };

  // Whether a text that names a coordinator is a home, an absolute path or a URI, and no "host:port".
  static bool IsHome(absl::string_view place);

  ClusterHome(std::string uri, StorageTable storage) : uri_(std::move(uri)), storage_(std::move(storage)) {}

  const std::string& uri() const { return uri_; }

  // The highest epoch that was claimed; 0: none was.
  absl::StatusOr<uint64_t> Epoch() const;
  // Claims an epoch that is above `above` and above all that were claimed: nobody else has it or will have it.
  absl::StatusOr<uint64_t> Claim(uint64_t above) const;
  // Says where the coordinator of an epoch is that the caller has claimed.
  absl::Status Announce(uint64_t epoch, const std::string& address) const;
  // The coordinator of the highest epoch. NOT_FOUND: there never was one; UNAVAILABLE: it has not said where it is yet.
  absl::StatusOr<Coordinator> Find() const;

 private:
  std::string FileOf(uint64_t epoch) const;

  const std::string uri_;
  const StorageTable storage_;
};

}  // namespace samovar
