// RunDirectory is the state directory of local runs: snapshots, logs, and a record of the last run.
//
//   lock           held while a run goes on; holds the number of its process and its host
//   run            the record, "name: value" lines. Format 1, which is read as well, has the mode in lines of its own.
//   net            the parameters of the last run's net, a v1.ParameterLayout
//   data           the digests of the last run's data, a v1.JobSpec without the rest
//   history.csv    the run's curve, as CurveCsv writes it
//   server-<i>/    the snapshots of server i
//   logs/          the standard error of each process
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/directory_lock.h"
#include "samovar/v1/consistency.pb.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// The facts about a run that are needed to continue it.
struct RunRecord {
  // Path of the solver file, for people.
  std::string solver;
  int servers = 0;
  uint64_t seed = 0;
  v1::Consistency consistency;
  // The state of its net, as StateFlags says it.
  std::string state_flags;
  // Its solver's type; empty: not known.
  std::string solver_type;
  // Iteration of the newest snapshot; 0: there is none.
  uint64_t snapshot = 0;
  // The run trained to its end.
  bool finished = false;
};

class RunDirectory {
 public:
  // Makes the directory if need be and locks it until the object's end. FAILED_PRECONDITION: another run is going on
  // there; INVALID_ARGUMENT: it holds files that are not a run's; DATA_LOSS: the record cannot be read; otherwise the
  // system's error.
  static absl::StatusOr<std::unique_ptr<RunDirectory>> Open(const std::string& path);
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  static std::string ServerDir(const std::string& path, int server);
  static std::string LogPath(const std::string& path, const std::string& process);

  // The last run's record; none if there was no run. Its snapshot is the newest that all servers hold, which a run that
  // was killed may not have come to note.
  const std::optional<RunRecord>& record() const { return record_; }
  // Replaces the record, whole or not at all.
  absl::Status Save(const RunRecord& record);
  // The parameters of the last run's net; none: not known.
  absl::StatusOr<std::optional<v1::ParameterLayout>> ReadNet() const;
  absl::Status SaveNet(const v1::ParameterLayout& net);
  // A job with the data of the last run, and files that its nets name; empty: not known.
  absl::StatusOr<v1::JobSpec> ReadData() const;
  absl::Status SaveData(const v1::JobSpec& job);
  // The run's curve, and that of the runs that it continues; empty: not known.
  absl::StatusOr<std::string> ReadHistory() const;
  absl::Status SaveHistory(const std::string& csv);
  // Removes snapshots, logs, net, data, curve and record, and nothing else.
  absl::Status Clear();
  // Makes the directory of the logs.
  absl::Status MakeLogs();

 private:
  RunDirectory(std::string path, DirectoryLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string path_;
  const DirectoryLock lock_;
  std::optional<RunRecord> record_;
};

// Whether a run may begin, given the record of the last one and the user's choices. An error says what to do.
enum class RunStart {
  // The directory is to be cleared, and training begins with initial weights.
  kFresh,
  // Training continues from the newest snapshot.
  kResume,
};
absl::StatusOr<RunStart> ChooseStart(const std::optional<RunRecord>& last, int servers, bool resume, bool restart);

// The record as it stands in the file, and back. DATA_LOSS: it is not a record.
std::string FormatRecord(const RunRecord& record);
absl::StatusOr<RunRecord> ParseRecord(const std::string& text);

}  // namespace samovar
