// MemberLogs keeps the newest lines of the logs of servers and workers, also of those that are lost.
//
// Thread safety: all methods may be called from any thread. Lock order: mu_ is a leaf lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/repeated_field.h"
#include "samovar/v1/process_log.pb.h"

namespace samovar {

class MemberLogs {
 public:
  // The newest lines of a member are kept: so many, with so many bytes of text; ...
  static constexpr size_t kMaxLines = 500;
  static constexpr size_t kMaxBytes = 64 << 10;
  // ... of so many members, of which the one that was heard of longest ago is forgotten first.
  static constexpr size_t kMaxMembers = 1000;

  using Lines = google::protobuf::RepeatedPtrField<v1::LogLine>;

  // Takes lines that a process has sent; those that were taken before are left out. `process` tells it from the one
  // that was this member before: the same address of a server, begun anew.
  void TakeServer(const std::string& address, uint64_t process, const Lines& lines) ABSL_LOCKS_EXCLUDED(mu_);
  void TakeWorker(uint64_t id, const std::string& name, const Lines& lines) ABSL_LOCKS_EXCLUDED(mu_);
  // The worker is no member any more, for this reason, "has been silent for 6 s". That is true now: the time is kept.
  void NoteLost(uint64_t worker, const std::string& reason) ABSL_LOCKS_EXCLUDED(mu_);

  // A place in one member's log.
  struct Cursor {
    std::string member;
    uint64_t after = 0;
  };
  // The lines that have come since the cursor, which is moved on; the first time, with an empty one, the newest lines.
  // NOT_FOUND: there is no such member; the message lists those that there are.
  absl::StatusOr<v1::ProcessLogPart> Read(const v1::GetProcessLogRequest& request, Cursor* cursor) const
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    // "worker w3 (12)", "server 10.0.0.4:7100": each once.
    std::string member;
    bool is_worker = false;
    // A worker's name, or a server's address; and a worker's number.
    std::string name;
    uint64_t id = 0;
    uint64_t process = 0;
    // Number of the newest line of that process.
    uint64_t newest = 0;
    std::string lost;
    // With their places in this log, which go on from one process to the next.
    std::deque<std::pair<uint64_t, v1::LogLine>> lines;
    uint64_t next_place = 1;
    size_t bytes = 0;
  };

  Entry* EntryLocked(const std::string& member) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Add(uint64_t process, const Lines& lines, Entry* entry);
  const Entry* FindLocked(const v1::GetProcessLogRequest& request) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string MembersLocked(bool workers) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  // Those that were heard of last are at the end.
  std::list<Entry> entries_ ABSL_GUARDED_BY(mu_);
  // By `member`.
  std::unordered_map<std::string, std::list<Entry>::iterator> places_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
