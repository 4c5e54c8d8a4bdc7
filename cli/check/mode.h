// A job's mode: which weights iterations are computed from, how they travel, and what becomes of gradients that are not
// finite. Made of the flags, written into the JobSpec, and told to people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/caffe/net_origin.h"
#include "common/parameters/encoding.h"
#include "common/parameters/late_gradients.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// The flags about the mode. A field that is empty or unset is chosen by ApplyMode.
struct ModeChoice {
  // "async", "bounded" or "sync"; empty: async, or that of the run that is resumed.
  std::string mode;
  // For the mode bounded only.
  std::optional<uint32_t> delay;
  // For the mode sync only.
  std::optional<uint32_t> parts;
  // One of EncodingNames(); empty: float32, or that of the run that is resumed.
  std::string encoding;
  // For the encoding topk only.
  std::optional<double> topk_ratio;
  // For the modes async, and bounded with a delay. One of StalenessScalingNames(); empty: tempered, or that of the run
  // that is resumed.
  std::string staleness_scaling = "";
  // Likewise. 0: none.
  std::optional<float> delay_compensation = std::nullopt;
  // Iterations a push. None: 1, or that of the run that is resumed.
  std::optional<uint32_t> push_every = std::nullopt;
  // "fail" or "skip"; empty: fail, or that of the run that is resumed.
  std::string on_numeric_failure = "";
};

// In pushes.
inline constexpr uint32_t kDefaultDelay = 4;
inline constexpr double kDefaultTopkRatio = 0.01;
// The default is the largest divisor of the batch that is no larger.
inline constexpr uint32_t kMaxDefaultParts = 8;

// Makes the job's mode that of the choice. In sync mode the train net is built for a part's records, and what it
// reports becomes the job's. INVALID_ARGUMENT: the mode and the job do not go together; the message says what does.
// `solver_path`: as for CheckJob. `train_origin`: where the train net's layers stand, for messages; null: not known.
absl::Status ApplyMode(const ModeChoice& choice, const std::string& solver_path, v1::JobSpec* spec,
                       const NetOrigin* train_origin = nullptr);

// The same, as a choice that leaves nothing out.
ModeChoice ChoiceOf(const v1::JobSpec& spec);

// The mode of a run that is resumed: what the user asks for and, for each field that is left out, the value of the run
// before, where that has a meaning in the mode that is asked for.
ModeChoice Resumed(const ModeChoice& asked, const ModeChoice& before);

// "async", "bounded, delay 4", "sync in 8 parts, bfloat16", "async, staleness inverse, compensation 0.04", "async, topk
// 0.01", "async, a push every 8 iterations". `Message`: v1::JobSpec or v1::JobStatus
template <typename Message>
std::string ModeText(const Message& message) {
  std::string text = "async";
  if (message.mode() == v1::CONSISTENCY_BOUNDED) text = absl::StrCat("bounded, delay ", message.delay());
  if (message.mode() == v1::CONSISTENCY_SYNC)
    text = absl::StrCat("sync in ", message.parts(), message.parts() == 1 ? " part" : " parts");
  if (message.push_every() > 1) absl::StrAppend(&text, ", a push every ", message.push_every(), " iterations");
  if (message.staleness_scaling() != v1::STALENESS_SCALING_TEMPERED) {
    absl::StrAppend(&text, ", staleness ", StalenessScalingName(message.staleness_scaling()));
  }
  if (message.delay_compensation() != 0) absl::StrAppend(&text, ", compensation ", message.delay_compensation());
  if (message.encoding() != v1::ENCODING_FLOAT32) absl::StrAppend(&text, ", ", EncodingName(message.encoding()));
  if (message.encoding() == v1::ENCODING_SPARSE) absl::StrAppend(&text, " ", message.topk_ratio());
  return text;
}

}  // namespace samovar
