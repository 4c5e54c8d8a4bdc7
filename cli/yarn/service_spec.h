// The specification of a cluster of Samovar as a YARN service: what `yarn app -launch` takes as a Yarnfile.
//
//   server   the servers; its instance 0 is the cluster's coordinator as well
//   worker   the workers
//
// All are restarted for ever, listen on free ports, and find each other by the cluster's home, a directory in storage.
// Their programs come from the bundle, which YARN unpacks on each node. A pure function: neither files nor network.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace samovar {

inline constexpr char kServerComponent[] = "server";
inline constexpr char kWorkerComponent[] = "worker";

struct ServicePlan {
  // A DNS label.
  std::string name;
  // URI of the cluster's directory in storage.
  std::string home;
  // URI of the bundle's tarball.
  std::string bundle;
  // URIs of core-site.xml and hdfs-site.xml for the containers, and others; empty: containers use those of their nodes.
  std::vector<std::string> configuration;
  int servers = 2;
  int workers = 4;
  int server_cpus = 1;
  int worker_cpus = 1;
  // MiB of a container.
  uint64_t server_memory = 2048;
  uint64_t worker_memory = 2048;
  // Bytes of partitions that a worker keeps on its node's disk.
  uint64_t cache_bytes = 0;
  // The queue of YARN; empty: its default.
  std::string queue;
  // YARN ends the service after so many seconds; unset: never.
  std::optional<uint64_t> lifetime_seconds;
  // On a cluster with Kerberos: with these YARN makes new tokens when the old ones end. Both, or neither.
  std::string principal;
  // A URI: "hdfs:", or "file:" for one that every node has.
  std::string keytab;
  // No two servers on one node.
  bool spread = false;
  bool allow_plaintext = false;
};

// INVALID_ARGUMENT, with the flag: a name that YARN refuses, or a URI that would not pass through a shell.
absl::Status CheckServicePlan(const ServicePlan& plan);

// INVALID_ARGUMENT: nobody has accepted connections in plain text, without which no server of a service starts.
absl::Status CheckPlaintext(const ServicePlan& plan);

// The specification, as JSON. REQUIRES: CheckServicePlan(plan) is OK.
std::string ServiceSpecification(const ServicePlan& plan);

}  // namespace samovar
