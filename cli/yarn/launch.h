// Launches a cluster of Samovar as a YARN service: puts what its containers need into storage, and asks YARN for them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/yarn/resource_manager.h"
#include "cli/yarn/service_spec.h"
#include "common/remote/hadoop_configuration.h"
#include "common/storage/storage_table.h"

namespace samovar {

// Completes a plan, whose empty home and bundle are chosen, and whose bundle and files of this machine are put into the
// storage: the bundle into the directory "bundles" beside the home, under its digest, so that what a running service
// has is never overwritten. `hadoop_conf`: a directory of this machine whose core-site.xml and hdfs-site.xml the
// containers get; empty: none. With `dry` nothing is written. FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND: the
// flags are wrong; the message names them.
absl::StatusOr<ServicePlan> CompletePlan(ServicePlan plan, const std::string& hadoop_conf,
                                         const HadoopConfiguration& configuration, const StorageTable& storage,
                                         bool dry);

// Completes the plan and begins the service; the plan as it was completed. ALREADY_EXISTS, before anything is written:
// there is a service of its name. Other errors as CompletePlan's and those of ResourceManager::Launch.
absl::StatusOr<ServicePlan> LaunchService(const ServicePlan& plan, const std::string& hadoop_conf,
                                          const HadoopConfiguration& configuration, const StorageTable& storage,
                                          ResourceManager* manager);

// The home of a service that was launched without --home.
absl::StatusOr<std::string> UsualHome(const std::string& name, const HadoopConfiguration& configuration);

}  // namespace samovar
