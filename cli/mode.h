// Which weights iterations are computed from: what the user asks for, what a job is told, and how it is said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// What is left out is chosen.
struct ModeChoice {
  // "async", "bounded" or "sync"; empty: async, or that of the run that is resumed.
  std::string mode;
  // Of bounded.
  std::optional<uint32_t> delay;
  // Of sync.
  std::optional<uint32_t> parts;
};

inline constexpr uint32_t kDefaultDelay = 4;
// The default is the largest divisor of the batch that is no larger.
inline constexpr uint32_t kMaxDefaultParts = 8;

// Makes the job's mode that of the choice. In sync mode the train net is built for a part's records, and what it
// reports becomes the job's. INVALID_ARGUMENT: the mode and the job do not go together; the message says what does.
// `solver_path`: as for CheckJob.
absl::Status ApplyMode(const ModeChoice& choice, const std::string& solver_path, v1::JobSpec* spec);

// The same, as a choice that leaves nothing out.
ModeChoice ChoiceOf(const v1::JobSpec& spec);

// "async", "bounded, delay 4", "sync in 8 parts". `Message`: v1::JobSpec or v1::JobStatus
template <typename Message>
std::string ModeText(const Message& message) {
  switch (message.mode()) {
    case v1::CONSISTENCY_BOUNDED:
      return "bounded, delay " + std::to_string(message.delay());
    case v1::CONSISTENCY_SYNC:
      return "sync in " + std::to_string(message.parts()) + (message.parts() == 1 ? " part" : " parts");
    default:
      return "async";
  }
}

}  // namespace samovar
