// ClusterConfiguration reads Hadoop's configuration when it is needed for the first time, and once.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <memory>
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
  explicit ClusterConfiguration(HadoopConfiguration configuration)
      : configuration_(std::make_shared<const HadoopConfiguration>(std::move(configuration))), is_given_(true) {}

  // Shared, since every request looks at it. What HadoopConfiguration::Load says, also at the next call.
  absl::StatusOr<std::shared_ptr<const HadoopConfiguration>> Get() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!configuration_.has_value()) {
      absl::StatusOr<HadoopConfiguration> loaded = HadoopConfiguration::Load();
      if (loaded.ok()) {
        configuration_ = std::make_shared<const HadoopConfiguration>(*std::move(loaded));
      } else {
        configuration_ = loaded.status();
      }
    }
    return *configuration_;
  }
  // The files are read again by the next Get: credentials change.
  void Refresh() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!is_given_) configuration_.reset();
  }

 private:
  absl::Mutex mu_;
  std::optional<absl::StatusOr<std::shared_ptr<const HadoopConfiguration>>> configuration_ ABSL_GUARDED_BY(mu_);
  const bool is_given_ = false;
};

}  // namespace samovar
