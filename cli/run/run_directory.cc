#include "cli/run/run_directory.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/list_directory.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/model/snapshot_keys.h"
#include "common/storage/lmdb.h"
#include "common/storage/paths.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;
using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageToJsonString;

constexpr char kLock[] = "lock";
constexpr char kRecord[] = "run";
constexpr char kNet[] = "net";
constexpr char kData[] = "data";
constexpr char kHistory[] = "history.csv";
// Longer records and nets than are ever written are not read.
constexpr uint64_t kMaxRecordBytes = 1 << 20;
constexpr uint64_t kMaxNetBytes = 256 << 20;
constexpr uint64_t kMaxHistoryBytes = 1 << 30;
constexpr char kLogs[] = "logs";
constexpr char kServer[] = "server-";
constexpr int kMaxServers = 1 << 16;

bool IsServerDir(absl::string_view name) {
  return absl::StartsWith(name, kServer) && std::all_of(name.begin() + sizeof kServer - 1, name.end(),
                                                        [](unsigned char c) { return absl::ascii_isdigit(c); });
}

bool IsOurs(absl::string_view name) {
  // A run that was killed while it wrote its record has left an unfinished one.
  for (const char* file : {kRecord, kNet, kData, kHistory}) {
    if (name == file || (absl::EndsWith(name, ".tmp") && absl::StartsWith(name, absl::StrCat(file, ".")))) return true;
  }
  return name == kLock || name == kLogs || IsServerDir(name);
}

absl::Status SystemError(const std::error_code& error, const std::string& what, const std::string& path) {
  return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot ", what, " ", path));
}

// A directory that somebody named by mistake must not be taken over, nor cleared later.
absl::Status CheckHoldsARun(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(path));
  for (const std::string& name : names) {
    if (IsOurs(name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the state directory ", path, " holds \"", name,
                     "\", which is not a run's; name a directory of its own with --state"));
  }
  return absl::OkStatus();
}

// The path's lock; FAILED_PRECONDITION names the process that has it.
absl::StatusOr<DirectoryLock> TakeLock(const std::string& path) {
  return DirectoryLock::Take(path, absl::ZeroDuration(), [&path](const std::string& holder) {
    return absl::StrCat("another run (", holder, ") is using ", path,
                        "; wait for its end, or give this one another snapshot_prefix or --state");
  });
}

// The iterations of the snapshots that a server's store holds.
absl::StatusOr<std::set<uint64_t>> SnapshotsIn(const std::string& store) {
  std::set<uint64_t> iterations;
  const auto environment = LmdbEnvironment::Open(store, {.read_only = true});
  if (absl::IsNotFound(environment.status())) return iterations;
  if (!environment.ok()) return environment.status();
  SAMOVAR_ASSIGN_OR_RETURN(const LmdbTransaction transaction, (*environment)->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  SAMOVAR_ASSIGN_OR_RETURN(bool more, cursor.SeekAtLeast(absl::string_view(&kSnapshotManifestPrefix, 1)));
  while (more && IsSnapshotManifestKey(cursor.key())) {
    iterations.insert(IterationOfManifestKey(cursor.key()));
    SAMOVAR_ASSIGN_OR_RETURN(more, cursor.Next());
  }
  return iterations;
}

// The newest snapshot that all servers hold; 0: there is none.
absl::StatusOr<uint64_t> NewestSnapshot(const std::string& path, int servers) {
  std::set<uint64_t> all;
  for (int server = 0; server < servers; ++server) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::set<uint64_t> held,
                             SnapshotsIn(absl::StrCat(RunDirectory::ServerDir(path, server), "/snapshots")));
    if (server == 0) all = held;
    std::erase_if(all, [&](uint64_t iteration) { return !held.contains(iteration); });
  }
  return all.empty() ? 0 : *all.rbegin();
}

// As JSON, on one line.
std::string ConsistencyLine(const v1::Consistency& consistency) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  // A message of numbers and enums has nothing that could not be written.
  (void)MessageToJsonString(consistency, &line, options);
  return line;
}

// The mode that a record of format 1 has, field by field. A record without a mode is of an asynchronous run.
v1::Consistency ConsistencyIn(std::map<std::string, std::string>& values) {
  v1::Consistency consistency;
  consistency.set_mode(ModeOf(values["mode"]));
  consistency.set_encoding(EncodingOf(values["encoding"]));
  consistency.set_staleness_scaling(StalenessScalingOf(values["staleness_scaling"]));
  consistency.set_on_numeric_failure(NumericFailureOf(values["on_numeric_failure"]));
  double ratio = 0;
  if (absl::SimpleAtod(values["topk_ratio"], &ratio)) consistency.set_topk_ratio(ratio);
  float lambda = 0;
  if (absl::SimpleAtof(values["delay_compensation"], &lambda)) consistency.set_delay_compensation(lambda);
  uint32_t number = 0;
  if (absl::SimpleAtoi(values["delay"], &number)) consistency.set_delay(number);
  if (absl::SimpleAtoi(values["parts"], &number)) consistency.set_parts(number);
  if (absl::SimpleAtoi(values["push_every"], &number)) consistency.set_push_every(number);
  return consistency;
}

}  // namespace

std::string RunDirectory::ServerDir(const std::string& path, int server) {
  return absl::StrCat(path, "/", kServer, server);
}

std::string RunDirectory::LogPath(const std::string& path, const std::string& process) {
  return absl::StrCat(path, "/", kLogs, "/", process, ".log");
}

absl::StatusOr<std::unique_ptr<RunDirectory>> RunDirectory::Open(const std::string& path) {
  SAMOVAR_RETURN_IF_ERROR(LocalPath(path).status());
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return SystemError(error, "make the state directory", path);
  SAMOVAR_RETURN_IF_ERROR(CheckHoldsARun(path));
  SAMOVAR_ASSIGN_OR_RETURN(DirectoryLock lock, TakeLock(path));
  std::unique_ptr<RunDirectory> directory(new RunDirectory(path, std::move(lock)));
  const std::string record_path = absl::StrCat(path, "/", kRecord);
  const absl::StatusOr<std::string> text = ReadFile(record_path, kMaxRecordBytes);
  if (absl::IsNotFound(text.status())) return directory;
  if (!text.ok()) return text.status();
  absl::StatusOr<RunRecord> record = ParseRecord(*text);
  if (!record.ok()) {
    return Annotate(record.status(), absl::StrCat(record_path, " is damaged (remove ", path, " to begin anew)"));
  }
  directory->record_ = *std::move(record);
  RunRecord& last = *directory->record_;
  // Servers tell of a store that is damaged when they open it.
  last.snapshot = std::max(last.snapshot, NewestSnapshot(path, last.servers).value_or(0));
  return directory;
}

absl::Status RunDirectory::Save(const RunRecord& record) {
  SAMOVAR_RETURN_IF_ERROR(WriteBytesAtomically(absl::StrCat(path_, "/", kRecord), FormatRecord(record)));
  record_ = record;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<v1::ParameterLayout>> RunDirectory::ReadNet() const {
  const std::string path = absl::StrCat(path_, "/", kNet);
  const absl::StatusOr<std::string> bytes = ReadFile(path, kMaxNetBytes);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) return bytes.status();
  v1::ParameterLayout net;
  if (net.ParseFromString(*bytes)) return net;
  return absl::DataLossError(absl::StrCat(path, " is damaged (remove ", path_, " to begin anew)"));
}

absl::Status RunDirectory::SaveNet(const v1::ParameterLayout& net) {
  return WriteBytesAtomically(absl::StrCat(path_, "/", kNet), net.SerializeAsString());
}

absl::StatusOr<v1::JobSpec> RunDirectory::ReadData() const {
  v1::JobSpec job;
  const std::string path = absl::StrCat(path_, "/", kData);
  const absl::StatusOr<std::string> bytes = ReadFile(path, kMaxNetBytes);
  if (absl::IsNotFound(bytes.status())) return job;
  if (!bytes.ok()) return bytes.status();
  if (job.ParseFromString(*bytes)) return job;
  return absl::DataLossError(absl::StrCat(path, " is damaged (remove it to go on without a comparison of the data)"));
}

absl::StatusOr<std::string> RunDirectory::ReadHistory() const {
  absl::StatusOr<std::string> csv = ReadFile(absl::StrCat(path_, "/", kHistory), kMaxHistoryBytes);
  return absl::IsNotFound(csv.status()) ? "" : csv;
}

absl::Status RunDirectory::SaveHistory(const std::string& csv) {
  return WriteBytesAtomically(absl::StrCat(path_, "/", kHistory), csv);
}

absl::Status RunDirectory::SaveData(const v1::JobSpec& job) {
  v1::JobSpec data;
  *data.mutable_train_data() = job.train_data();
  *data.mutable_test_data() = job.test_data();
  *data.mutable_net_files() = job.net_files();
  *data.mutable_solver() = job.solver();
  return WriteBytesAtomically(absl::StrCat(path_, "/", kData), data.SerializeAsString());
}

absl::Status RunDirectory::Clear() {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(path_));
  for (const std::string& name : names) {
    if (!IsOurs(name) || name == kLock) continue;
    const std::string victim = absl::StrCat(path_, "/", name);
    std::error_code error;
    fs::remove_all(victim, error);
    if (error) return SystemError(error, "remove", victim);
  }
  record_.reset();
  return absl::OkStatus();
}

absl::Status RunDirectory::MakeLogs() {
  const std::string logs = absl::StrCat(path_, "/", kLogs);
  std::error_code error;
  fs::create_directories(logs, error);
  return error ? SystemError(error, "make", logs) : absl::OkStatus();
}

absl::StatusOr<RunStart> ChooseStart(const std::optional<RunRecord>& last, int servers, bool resume, bool restart) {
  if (resume) {
    if (!last.has_value() || last->snapshot == 0) {
      return absl::FailedPreconditionError(absl::StrCat("there is no snapshot to resume from",
                                                        last.has_value() ? ": the earlier run wrote none" : "",
                                                        "; start without --resume"));
    }
    if (last->servers != servers) {
      return absl::FailedPreconditionError(
          absl::StrCat("the earlier run had ", last->servers,
                       " servers, and its snapshots are theirs; resume it with --servers ", last->servers,
                       ", or begin with --restore from a snapshot that it exported "
                       "(--export-snapshots, or samovar snapshot export while it runs)"));
    }
    return RunStart::kResume;
  }
  const bool unfinished = last.has_value() && !last->finished && last->snapshot > 0;
  if (unfinished && !restart) {
    return absl::FailedPreconditionError(absl::StrCat(
        "an earlier run of ", last->solver, " did not finish; its last snapshot is of iteration ", last->snapshot,
        ". Continue it with --resume, or begin anew, without its snapshots, with --restart"));
  }
  return RunStart::kFresh;
}

std::string FormatRecord(const RunRecord& record) {
  return absl::StrCat("format: 2\nservers: ", record.servers, "\nseed: ", record.seed,
                      "\nconsistency: ", ConsistencyLine(record.consistency), "\nstate_flags:", record.state_flags,
                      "\nsolver_type: ", record.solver_type, "\nsnapshot: ", record.snapshot,
                      "\nfinished: ", record.finished ? "yes" : "no", "\nsolver: ", record.solver, "\n");
}

absl::StatusOr<RunRecord> ParseRecord(const std::string& text) {
  std::map<std::string, std::string> values;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(line, absl::MaxSplits(": ", 1));
    values[pair.first] = pair.second;
  }
  RunRecord record;
  if (values["format"] == "1") {
    record.consistency = ConsistencyIn(values);
  } else if (values["format"] != "2") {
    return absl::DataLossError("it has neither \"format: 2\" nor \"format: 1\"");
  } else if (!JsonStringToMessage(values["consistency"], &record.consistency).ok()) {
    return absl::DataLossError(absl::StrCat("consistency is \"", values["consistency"], "\""));
  }
  record.solver = values["solver"];
  record.finished = values["finished"] == "yes";
  if (!absl::SimpleAtoi(values["servers"], &record.servers) || record.servers < 1 || record.servers > kMaxServers) {
    return absl::DataLossError(absl::StrCat("servers is \"", values["servers"], "\""));
  }
  if (!absl::SimpleAtoi(values["seed"], &record.seed)) {
    return absl::DataLossError(absl::StrCat("seed is \"", values["seed"], "\""));
  }
  if (const std::string& flags = values["state_flags"]; !flags.empty()) record.state_flags = absl::StrCat(" ", flags);
  record.solver_type = values["solver_type"];
  if (!absl::SimpleAtoi(values["snapshot"], &record.snapshot)) {
    return absl::DataLossError(absl::StrCat("snapshot is \"", values["snapshot"], "\""));
  }
  return record;
}

}  // namespace samovar
