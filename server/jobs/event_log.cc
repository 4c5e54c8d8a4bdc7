#include "server/jobs/event_log.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/printable.h"

namespace samovar {

namespace {

std::string WithoutNumbers(const std::string& text) {
  std::string pattern;
  for (const char c : text) {
    const bool digit = absl::ascii_isdigit(static_cast<unsigned char>(c));
    if (!digit || pattern.empty() || pattern.back() != '#') pattern += digit ? '#' : c;
  }
  return pattern;
}

}  // namespace

std::string TestText(const v1::TestReport& report) {
  return absl::StrCat(
      "test of net ", report.net(), " at iteration ", report.iteration(), " with ", report.records(),
      " records: ", absl::StrJoin(report.outputs(), ", ", [](std::string* out, const v1::NamedValue& output) {
        absl::StrAppend(out, output.name(), " = ", output.value());
      }));
}

void EventLog::Add(v1::JobEvent::Kind kind, const std::string& text, absl::Time now) {
  v1::JobEvent event;
  event.set_unix_ms(static_cast<uint64_t>(absl::ToUnixMillis(now)));
  event.set_kind(kind);
  event.set_text(Printable(text, kMaxTextBytes));
  if (CountAtOther(event)) return;
  event.set_number(++newest_);
  events_.push_back(std::move(event));
  if (events_.size() > kMaxEvents) events_.pop_front();
}

bool EventLog::CountAtOther(const v1::JobEvent& event) {
  if (event.kind() != v1::JobEvent::KIND_WORKER && event.kind() != v1::JobEvent::KIND_LEASE) return false;
  const std::string pattern = WithoutNumbers(event.text());
  int alike = 0;
  size_t looked_at = 0;
  v1::JobEvent* newest = nullptr;
  for (auto other = events_.rbegin(); other != events_.rend() && looked_at < kLookedAt; ++other, ++looked_at) {
    if (other->kind() != event.kind() || WithoutNumbers(other->text()) != pattern) continue;
    if (newest == nullptr) newest = &*other;
    ++alike;
  }
  if (alike < kListed) return false;
  newest->set_repeats(newest->repeats() + 1);
  newest->set_last_unix_ms(event.unix_ms());
  return true;
}

void EventLog::Restore(const google::protobuf::RepeatedPtrField<v1::JobEvent>& events) {
  events_.clear();
  newest_ = 0;
  for (const v1::JobEvent& event : events) {
    if (event.number() <= newest_) continue;
    newest_ = event.number();
    events_.push_back(event);
    events_.back().set_text(Printable(event.text(), kMaxTextBytes));
    if (events_.size() > kMaxEvents) events_.pop_front();
  }
}

std::vector<v1::JobEvent> EventLog::After(uint64_t number) const {
  std::vector<v1::JobEvent> result;
  for (const v1::JobEvent& event : events_) {
    if (event.number() > number) result.push_back(event);
  }
  return result;
}

}  // namespace samovar
