// JobOpener asks servers for their state of a job, chooses the state that each begins with, and opens the job there.
//
// A job has as many shares as servers: share i of n has the chunks c with c modulo n = i.
//
// Thread safety: one thread at a time. Methods block for calls to the servers.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/stopper.h"
#include "common/model/chunk_plan.h"
#include "common/model/ledger.h"
#include "samovar/v1/job.pb.h"
#include "server/cluster/membership.h"
#include "server/cluster/server_channels.h"

namespace samovar {

// Servers and chunks of a job.
struct Placement {
  // By share.
  std::vector<Membership::Server> servers;
  uint32_t chunk_elements = 0;
  // As in OpenJobRequest.
  uint64_t run = 0;
  uint64_t opening = 0;
};

// The state of the job at one server.
struct HeldShare {
  Membership::Server server;
  // None: the job is not open there.
  std::optional<v1::SnapshotInfo> open;
  // The share that it held when the job was last open there, for example before the server was restarted.
  std::optional<v1::SnapshotInfo> last;
  // Oldest first.
  std::vector<v1::SnapshotInfo> snapshots;
};

class JobOpener {
 public:
  // The state that servers begin with.
  enum class Begin {
    // All with initial weights. A job of that id that is open there is closed.
    kAnew,
    // All with the newest snapshot that every one of them holds, so that they begin with the same iterations.
    kTogether,
    // Servers where the job is open with its state there, others with their own newest snapshot: ledgers tell what each
    // lacks.
    kEachWithItsOwn,
  };

  struct Opened {
    // One ledger for each chunk.
    std::vector<Ledger> ledgers;
    // The snapshot that all began with; none: they did not begin together with one.
    std::optional<uint64_t> restored;
    // Notices for the user: shares that were restored or filled, and damaged snapshots.
    std::vector<std::string> notices;
  };

  // Spec, channels and stopper outlive this.
  JobOpener(const v1::JobSpec& spec, uint64_t epoch, ServerChannels* channels, const Stopper* stopper)
      : spec_(spec), epoch_(epoch), channels_(*channels), stopper_(*stopper) {}

  // The state at each of the servers, in their order. UNAVAILABLE: one of them does not answer.
  absl::StatusOr<std::vector<HeldShare>> Ask(const std::vector<Membership::Server>& servers) const;

  // For a job that begins: the first servers.
  Placement PlaceAnew(const std::vector<Membership::Server>& servers) const;
  // For a job that continues an earlier run: the servers that hold its newest snapshot.
  // NOT_FOUND, FAILED_PRECONDITION: there is none that can be used; the message says what to do.
  absl::StatusOr<Placement> PlaceByNewestSnapshot(const std::vector<HeldShare>& held) const;
  // For a job that ran under an earlier coordinator: the servers that had it open then. If `fill_up`, a share that no
  // server claims goes to another one, unless there are snapshots of the job, which it would lack. UNAVAILABLE says
  // what is missing.
  absl::StatusOr<Placement> PlaceAgain(const std::vector<HeldShare>& held, bool fill_up) const;

  // Whether every server of the placement has its share open.
  absl::StatusOr<bool> IsOpenAtAll(const Placement& placement) const;

  // `begin`: a damaged snapshot is passed over for the one before; where there is none, a share begins with initial
  // weights, unless the job was resumed, so that they are not known: NOT_FOUND. UNAVAILABLE, DEADLINE_EXCEEDED: try
  // again.
  absl::StatusOr<Opened> Open(const Placement& placement, Begin begin);

 private:
  // Share and iteration of snapshots that could not be read.
  using Damaged = std::set<std::pair<size_t, uint64_t>>;

  // Whether a snapshot is one that this share of the job may begin with.
  static bool Fits(const v1::SnapshotInfo& info, const Placement& placement, size_t share);
  // The snapshot that each share restores; none: initial weights.
  absl::StatusOr<std::vector<std::optional<uint64_t>>> Choose(const Placement& placement,
                                                              const std::vector<HeldShare>& held,
                                                              const Damaged& damaged, Begin begin) const;
  v1::OpenJobRequest RequestFor(const Placement& placement, const ChunkPlan& plan, size_t share,
                                std::optional<uint64_t> restored) const;
  absl::Status CloseAt(const std::vector<Membership::Server>& servers, uint64_t before_opening) const;

  const v1::JobSpec& spec_;
  const uint64_t epoch_;
  ServerChannels& channels_;
  const Stopper& stopper_;
};

// The address, for messages.
const std::string& AddressOf(const Membership::Server& server);

}  // namespace samovar
