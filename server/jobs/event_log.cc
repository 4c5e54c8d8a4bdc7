#include "server/jobs/event_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/printable.h"

namespace samovar {

std::string TestText(const v1::TestReport& report) {
  return absl::StrCat(
      "test of net ", report.net(), " at iteration ", report.iteration(), " with ", report.records(),
      " records: ", absl::StrJoin(report.outputs(), ", ", [](std::string* out, const v1::NamedValue& output) {
        absl::StrAppend(out, output.name(), " = ", output.value());
      }));
}

void EventLog::Add(v1::JobEvent::Kind kind, const std::string& text, absl::Time now) {
  v1::JobEvent event;
  event.set_number(++newest_);
  event.set_unix_ms(static_cast<uint64_t>(absl::ToUnixMillis(now)));
  event.set_kind(kind);
  event.set_text(Printable(text, kMaxTextBytes));
  events_.push_back(std::move(event));
  if (events_.size() > kMaxEvents) events_.pop_front();
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
