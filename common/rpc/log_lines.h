// Lines of a process' log as they travel to its coordinator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "common/telemetry/recent_log.h"
#include "google/protobuf/repeated_field.h"
#include "samovar/v1/process_log.pb.h"

namespace samovar {

// With one message to the coordinator. The next ones bring what is newer; of a process that logs faster the newest.
inline constexpr size_t kMaxSentLogBytes = 16 << 10;

// Adds the newest lines with a higher number than `after`. Returns the number of the newest, or `after`.
inline uint64_t AddLogLines(const RecentLog& log, uint64_t after, size_t max_bytes,
                            google::protobuf::RepeatedPtrField<v1::LogLine>* lines) {
  for (LoggedLine& logged : log.After(after, max_bytes)) {
    v1::LogLine* const line = lines->Add();
    line->set_number(logged.number);
    line->set_unix_ms(static_cast<uint64_t>(absl::ToUnixMillis(logged.time)));
    line->set_level(static_cast<v1::LogLevel>(v1::LOG_LEVEL_DEBUG + static_cast<int>(logged.weight)));
    line->set_text(std::move(logged.text));
    after = logged.number;
  }
  return after;
}

}  // namespace samovar
