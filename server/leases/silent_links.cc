#include "server/leases/silent_links.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace samovar {
namespace {

// A peer's number is not believed beyond this.
constexpr absl::Duration kLongestSilence = absl::Hours(24);

std::string InWords(const std::string& who, const std::string& server, absl::Duration silent) {
  return absl::StrCat(who, " has had no answer from server ", server, " for ", absl::ToInt64Seconds(silent), " s");
}

}  // namespace

std::vector<std::string> SilentLinks::Take(uint64_t worker, const std::string& name, const v1::WorkerWait& wait,
                                           const std::vector<std::string>& servers, absl::Time now) {
  Worker known{name, {}};
  std::vector<std::string> news;
  const auto before = links_.find(worker);
  for (const v1::SilentServer& server : wait.silent()) {
    if (std::find(servers.begin(), servers.end(), server.address()) == servers.end()) continue;
    const uint64_t longest = static_cast<uint64_t>(absl::ToInt64Milliseconds(kLongestSilence));
    const absl::Duration silent = absl::Milliseconds(static_cast<int64_t>(std::min(server.silent_ms(), longest)));
    Link& link = known.silent[server.address()];
    link.since = now - silent;
    if (before != links_.end()) {
      const auto same = before->second.silent.find(server.address());
      link.told = same != before->second.silent.end() && same->second.told;
    }
    if (silent >= kTold && !std::exchange(link.told, true))
      news.push_back(InWords(absl::StrCat("worker ", name), server.address(), silent));
  }
  if (known.silent.empty()) {
    links_.erase(worker);
  } else {
    links_[worker] = std::move(known);
  }
  return news;
}

std::string SilentLinks::TextOf(uint64_t worker, absl::Time now) const {
  const auto found = links_.find(worker);
  std::vector<std::string> texts;
  if (found != links_.end()) {
    for (const auto& [server, link] : found->second.silent) texts.push_back(InWords("it", server, now - link.since));
  }
  return absl::StrJoin(texts, "; ");
}

std::string SilentLinks::Text(absl::Time now) const {
  std::vector<std::string> texts;
  for (const auto& [worker, link] : links_) {
    for (const auto& [server, silence] : link.silent)
      texts.push_back(InWords(absl::StrCat("worker ", link.name), server, now - silence.since));
  }
  return absl::StrJoin(texts, "; ");
}

}  // namespace samovar
