// JobOpener asks servers for their state of a job, chooses the state that each begins with, and opens the job there.
//
// A job has as many shares as servers: share i of n has the chunks c with c modulo n = i.
//
// Thread safety: one thread at a time. Methods block for calls to the servers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "common/model/chunk_plan.h"
#include "common/model/ledger.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"
#include "server/cluster/membership.h"
#include "server/cluster/server_channels.h"
#include "server/jobs/job_exports.h"

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
    // All with their newest snapshots, whatever is open there: an ended job goes on, of which a server has lost its
    // share.
    kEachWithItsSnapshot,
  };

  // The placement of a job that continues an earlier run.
  struct Resumption {
    Placement placement;
    // Servers hold no whole snapshot: one has lost its share, which an exported one has.
    bool share_is_lost = false;
  };

  // The state that a share begins with: its own snapshot of that iteration, or an exported one; neither: initial
  // weights.
  struct Source {
    std::optional<uint64_t> own;
    std::optional<JobExport> exported;

    std::optional<uint64_t> iteration() const { return exported.has_value() ? exported->iteration : own; }
  };

  struct Opened {
    // One ledger for each chunk.
    std::vector<Ledger> ledgers;
    // The snapshot that all began with; none: they did not begin together with one.
    std::optional<uint64_t> restored;
    // Notices for the user: shares that were restored or filled, and damaged snapshots.
    std::vector<std::string> notices;
  };

  // Spec, channels and stopper outlive this. `storage`: where the job's snapshots are exported to.
  JobOpener(const v1::JobSpec& spec, uint64_t epoch, ServerChannels* channels, StorageTable storage,
            const Stopper* stopper)
      : spec_(spec), epoch_(epoch), channels_(*channels), storage_(std::move(storage)), stopper_(*stopper) {}

  // The state at each of the servers, in their order. UNAVAILABLE: one of them does not answer.
  absl::StatusOr<std::vector<HeldShare>> Ask(const std::vector<Membership::Server>& servers) const;

  // For a job that begins: the first servers.
  Placement PlaceAnew(const std::vector<Membership::Server>& servers) const;
  // For a job that continues an earlier run: the servers that hold its newest snapshot. If `fill_up`, a share that none
  // of them holds goes to another one, where the job has exported a snapshot of that run. NOT_FOUND,
  // FAILED_PRECONDITION: there is none that can be used; the message says what to do. UNAVAILABLE: the server that
  // holds it may come yet; or an error of the storage.
  absl::StatusOr<Resumption> PlaceByNewestSnapshot(const std::vector<HeldShare>& held, bool fill_up) const;
  // For a job that ran under an earlier coordinator: the servers that had it open then. If `fill_up`, a share that no
  // server claims goes to another one, unless there are snapshots of the job, which it would lack, and none was
  // exported. UNAVAILABLE says what is missing. Where a job exports its snapshots, one that IsBeforeSecond is none
  // here: its export may not have ended when its server was lost.
  absl::StatusOr<Placement> PlaceAgain(const std::vector<HeldShare>& held, bool fill_up) const;
  // Whether the iteration is before the job's second snapshot, so that what a server has lost with it is computed again
  // rather than waited for. False for a resumed job, which does not know how its model began.
  bool IsBeforeSecond(uint64_t iteration) const;
  // Whether a server that has nothing of the job can take a share: a snapshot of this placement's was exported. Errors
  // of the storage.
  absl::StatusOr<bool> HasExport(const Placement& placement) const;

  // Whether every server of the placement has its share open.
  absl::StatusOr<bool> IsOpenAtAll(const Placement& placement) const;

  // `begin`: a damaged snapshot is passed over for the one before; where there is none, a share begins with initial
  // weights, unless the job was resumed, so that they are not known: NOT_FOUND. UNAVAILABLE, DEADLINE_EXCEEDED: try
  // again.
  absl::StatusOr<Opened> Open(const Placement& placement, Begin begin);

 private:
  // Snapshots that could not be read: share and iteration, and the directories of exported ones.
  struct Damaged {
    std::set<std::pair<size_t, uint64_t>> own;
    std::set<std::string> exported;

    size_t size() const { return own.size() + exported.size(); }
  };

  // The newest exported snapshot that an ended job can go on from: of the runs that servers know, if they know any.
  // NOT_FOUND: there is none. Errors of the storage.
  absl::StatusOr<JobExport> NewestExport(const std::vector<HeldShare>& held) const;
  // The servers of a job that goes on from the exported snapshot: those that hold a share keep it, others take the
  // rest.
  Placement PlaceAround(const JobExport& exported, const std::vector<HeldShare>& held) const;
  // Whether a snapshot is one that this share of the job may begin with.
  static bool Fits(const v1::SnapshotInfo& info, const Placement& placement, size_t share);
  // Iterations of the snapshots that each server has of its share, and that the job can go on from.
  std::vector<std::set<uint64_t>> UsableSnapshots(const Placement& placement, const std::vector<HeldShare>& held,
                                                  const Damaged& damaged) const;
  // As ListExports, at most once a second: while servers are waited for it is asked with every look.
  absl::StatusOr<std::vector<JobExport>> Exports() const;
  // The exported snapshots that any share can begin with, by iteration. Errors of the storage.
  absl::StatusOr<std::map<uint64_t, JobExport>> UsableExports(const Placement& placement, const Damaged& damaged) const;
  // The state that each share begins with.
  absl::StatusOr<std::vector<Source>> Choose(const Placement& placement, const std::vector<HeldShare>& held,
                                             const Damaged& damaged, Begin begin) const;
  v1::OpenJobRequest RequestFor(const Placement& placement, const ChunkPlan& plan, size_t share,
                                const Source& source) const;
  absl::Status CloseAt(const std::vector<Membership::Server>& servers, uint64_t before_opening) const;

  const v1::JobSpec& spec_;
  const uint64_t epoch_;
  ServerChannels& channels_;
  const StorageTable storage_;
  const Stopper& stopper_;
  // The last answer of Exports, and when it came.
  mutable absl::StatusOr<std::vector<JobExport>> exports_;
  mutable absl::Time listed_ = absl::InfinitePast();
};

// The address, for messages.
const std::string& AddressOf(const Membership::Server& server);

}  // namespace samovar
