#include "server/coordinator/member_logs.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/printable.h"
#include "common/telemetry/recent_log.h"

namespace samovar {
namespace {

// A message lists so many members.
constexpr size_t kListed = 20;

}  // namespace

MemberLogs::Entry* MemberLogs::EntryLocked(const std::string& member) {
  const auto found = places_.find(member);
  if (found != places_.end()) {
    entries_.splice(entries_.end(), entries_, found->second);
    return &entries_.back();
  }
  if (entries_.size() >= kMaxMembers) {
    places_.erase(entries_.front().member);
    entries_.pop_front();
  }
  entries_.emplace_back();
  entries_.back().member = member;
  places_[member] = std::prev(entries_.end());
  return &entries_.back();
}

void MemberLogs::Add(uint64_t process, const Lines& lines, Entry* entry) {
  if (entry->process != process) entry->newest = 0;
  entry->process = process;
  entry->lost.clear();
  for (const v1::LogLine& line : lines) {
    if (line.number() <= entry->newest) continue;
    entry->newest = line.number();
    v1::LogLine kept = line;
    kept.set_text(Printable(line.text(), RecentLog::kMaxTextBytes));
    entry->bytes += kept.text().size();
    entry->lines.emplace_back(entry->next_place++, std::move(kept));
  }
  while (entry->lines.size() > 1 && (entry->lines.size() > kMaxLines || entry->bytes > kMaxBytes)) {
    entry->bytes -= entry->lines.front().second.text().size();
    entry->lines.pop_front();
  }
}

void MemberLogs::TakeServer(const std::string& address, uint64_t process, const Lines& lines) {
  absl::MutexLock lock(&mu_);
  Entry* const entry = EntryLocked(absl::StrCat("server ", address));
  entry->name = address;
  Add(process, lines, entry);
}

void MemberLogs::TakeWorker(uint64_t id, const std::string& name, const Lines& lines) {
  absl::MutexLock lock(&mu_);
  Entry* const entry = EntryLocked(absl::StrCat("worker ", name, " (", id, ")"));
  entry->is_worker = true;
  entry->name = name;
  entry->id = id;
  Add(id, lines, entry);
}

void MemberLogs::NoteLost(uint64_t worker, const std::string& reason) {
  const std::string told =
      absl::StrCat(reason, " (at ", absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::Now(), absl::UTCTimeZone()), " UTC)");
  absl::MutexLock lock(&mu_);
  for (Entry& entry : entries_) {
    if (entry.is_worker && entry.id == worker) entry.lost = told;
  }
}

const MemberLogs::Entry* MemberLogs::FindLocked(const v1::GetProcessLogRequest& request) const {
  const bool worker = !request.worker().empty();
  const Entry* lost = nullptr;
  // The newest of a name, but one that is there before one that is lost.
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->is_worker != worker) continue;
    if (worker && absl::StrCat(entry->id) == request.worker()) return &*entry;
    if (entry->name != (worker ? request.worker() : request.server())) continue;
    if (entry->lost.empty()) return &*entry;
    if (lost == nullptr) lost = &*entry;
  }
  return lost;
}

std::string MemberLogs::MembersLocked(bool workers) const {
  std::vector<std::string> names;
  size_t more = 0;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->is_worker != workers) continue;
    if (names.size() == kListed) {
      ++more;
      continue;
    }
    names.push_back(absl::StrCat(workers ? absl::StrCat(entry->name, " (", entry->id, ")") : entry->name,
                                 entry->lost.empty() ? "" : ", which is lost"));
  }
  if (names.empty()) return "none";
  return absl::StrCat(absl::StrJoin(names, "; "), more > 0 ? absl::StrCat("; and ", more, " more") : "");
}

absl::StatusOr<v1::ProcessLogPart> MemberLogs::Read(const v1::GetProcessLogRequest& request, Cursor* cursor) const {
  absl::MutexLock lock(&mu_);
  const Entry* found = nullptr;
  if (cursor->member.empty()) {
    found = FindLocked(request);
  } else {
    const auto same = places_.find(cursor->member);
    if (same != places_.end()) found = &*same->second;
  }
  if (found == nullptr) {
    const bool worker = !request.worker().empty();
    return absl::NotFoundError(absl::StrCat("there is no ", worker ? "worker " : "server ",
                                            Printable(worker ? request.worker() : request.server(), kMaxPeerNameBytes),
                                            " that this coordinator has heard of; there are: ", MembersLocked(worker)));
  }
  const bool first = cursor->member.empty();
  v1::ProcessLogPart part;
  part.set_member(found->member);
  part.set_lost(found->lost);
  const size_t lines = found->lines.size();
  const size_t wanted = first && request.lines() > 0 ? std::min<size_t>(lines, request.lines()) : lines;
  for (size_t i = lines - wanted; i < lines; ++i) {
    if (found->lines[i].first > cursor->after) *part.add_lines() = found->lines[i].second;
  }
  cursor->member = found->member;
  cursor->after = found->next_place - 1;
  return part;
}

}  // namespace samovar
