// Membership knows the servers and workers of the cluster and when each was last heard of.
//
// A state machine without clock or threads: callers pass the time. Thread safety: none; guarded by its owner.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/telemetry/rate_window.h"
#include "samovar/v1/coordinator.pb.h"

namespace samovar {

class Membership {
 public:
  // A server that registers so often is heard of in time; a worker likewise with its heartbeats.
  static constexpr absl::Duration kServerRenewal = absl::Milliseconds(500);
  static constexpr absl::Duration kHeartbeat = absl::Milliseconds(250);
  // Silence after which a worker is given up. Its leases run out at the same time.
  static constexpr absl::Duration kWorkerTimeout = absl::Seconds(6);
  // The same of one whose name has joined again since: it was started again.
  static constexpr absl::Duration kReplacedTimeout = absl::Seconds(1);
  // Silence after which a server is taken for gone: several renewals in a row did not come.
  static constexpr absl::Duration kServerTimeout = absl::Seconds(10);

  struct Server {
    v1::RegisterServerRequest registration;
    absl::Time heard;
    // The first registration of this process.
    absl::Time joined = {};
    RateWindow<v1::ServerFigures> figures = {};
  };
  struct Worker {
    uint64_t id = 0;
    v1::JoinRequest description;
    absl::Time heard;
    absl::Time joined = {};
    uint64_t iterations_done = 0;
    RateWindow<v1::WorkerFigures> figures = {};
    // As it last gave it.
    v1::WorkerWait wait = {};
    // Work that it could not do: how often, and the last.
    uint64_t errors = 0;
    std::string last_error = {};
    absl::Time last_error_at = {};
    // Another has joined under its name since.
    bool replaced = false;
  };

  // A server or worker that is not a member any more, or was refused.
  struct Lost {
    // "worker w3 (12)"
    std::string name;
    std::string host;
    std::string reason;
    absl::Time when;
    uint64_t times = 1;
  };
  // The reason of one that gave its work back and went.
  static constexpr char kHasLeft[] = "has left";
  // So many are remembered, the newest.
  static constexpr size_t kMaxLost = 50;

  // Worker ids begin there; see Join.
  explicit Membership(uint64_t first_worker = 1) : next_worker_(first_worker) {}

  // A new registration or a renewal. A server that has come back on another address, or another one on the address of
  // one that was lost, takes the other's place. INVALID_ARGUMENT: no address.
  absl::Status RegisterServer(const v1::RegisterServerRequest& request, absl::Time now);
  // In the order of their first registration.
  const std::vector<Server>& servers() const { return servers_; }
  // Null if it never registered.
  const Server* FindServer(const std::string& address) const;
  // The server that continues this registration: the same identity, else the same address. Null: there is none.
  static const Server* FindSuccessor(const std::vector<Server>& servers, const v1::RegisterServerRequest& registration);

  // Returns the new worker's id; ids are not used again. The next coordinator must not use them either: it would take a
  // worker of this one for its own. Others of this name are given up if they are silent for kReplacedTimeout.
  uint64_t Join(const v1::JoinRequest& request, absl::Time now);
  // Notes that the worker lives. Null if it is not (any more) known.
  Worker* Touch(uint64_t worker, absl::Time now);
  void Leave(uint64_t worker) { workers_.erase(worker); }
  // Forgets the workers that have been silent too long; returns them.
  std::vector<Worker> ExpireWorkers(absl::Time now);
  const std::map<uint64_t, Worker>& workers() const { return workers_; }

  // Remembers that a member is lost, or was refused. The same once more is counted.
  void NoteLost(const std::string& name, const std::string& host, const std::string& reason, absl::Time now);
  // Oldest first.
  const std::deque<Lost>& lost() const { return lost_; }

 private:
  std::vector<Server> servers_;
  std::map<uint64_t, Worker> workers_;
  std::deque<Lost> lost_;
  uint64_t next_worker_;
};

}  // namespace samovar
