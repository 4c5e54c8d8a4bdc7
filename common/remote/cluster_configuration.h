// ClusterConfiguration reads Hadoop's configuration when it is needed for the first time, and once.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/remote/hadoop_configuration.h"

namespace samovar {

class ClusterConfiguration {
 public:
  // The result of HadoopConfiguration::Load.
  ClusterConfiguration() = default;
  // This one.
  explicit ClusterConfiguration(HadoopConfiguration configuration) : configuration_(std::move(configuration)) {}

  absl::StatusOr<HadoopConfiguration> Get() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!configuration_.has_value()) configuration_ = HadoopConfiguration::Load();
    return *configuration_;
  }
  // The files are read again by the next Get: credentials change.
  void Refresh() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!is_given_) configuration_.reset();
  }

 private:
  absl::Mutex mu_;
  std::optional<absl::StatusOr<HadoopConfiguration>> configuration_ ABSL_GUARDED_BY(mu_);
  const bool is_given_ = configuration_.has_value();
};

}  // namespace samovar
