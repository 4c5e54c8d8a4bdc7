// A job's v1::Consistency as users choose it with flags; this file chooses the fields that they leave out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/caffe/net_origin.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/consistency.pb.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// The flags about the mode. A field that is empty or unset is chosen by ApplyMode.
struct ModeChoice {
  // One of ModeNames(); empty: async, or that of the run that is resumed.
  std::string mode;
  // For the mode bounded only.
  std::optional<uint32_t> delay;
  // For the mode sync only.
  std::optional<uint32_t> parts;
  // One of EncodingNames(); empty: float32, or that of the run that is resumed.
  std::string encoding;
  // For the encoding topk only.
  std::optional<double> topk_ratio;
  // For the modes async, and bounded with a delay. One of StalenessScalingNames(); empty: stretched, or that of the run
  // that is resumed.
  std::string staleness_scaling = "";
  // Likewise. 0: none.
  std::optional<float> delay_compensation = std::nullopt;
  // Iterations a push. None: 1, or that of the run that is resumed.
  std::optional<uint32_t> push_every = std::nullopt;
  // One of NumericFailureNames(); empty: fail, or that of the run that is resumed.
  std::string on_numeric_failure = "";
  // For the mode sync only: that of this version, or what the run that is resumed said of itself.
  v1::PartSumOrder part_sum_order = v1::PART_SUM_ORDER_TREE;
};

// In pushes.
inline constexpr uint32_t kDefaultDelay = 4;
inline constexpr double kDefaultTopkRatio = 0.01;
// The default is the largest divisor of the batch that is no larger.
inline constexpr uint32_t kMaxDefaultParts = 8;

// Makes the job's consistency that of the choice. In sync mode the train net is built for a part's records, and its
// outputs become the job's. INVALID_ARGUMENT: the mode and the job do not go together; the message names a mode that
// does. `solver_path`: as for CheckJob. `train_origin`: where the train net's layers stand, for messages; null: not
// known. `storage`: where the net's files are.
absl::Status ApplyMode(const ModeChoice& choice, const std::string& solver_path, v1::JobSpec* spec,
                       const NetOrigin* train_origin = nullptr, const StorageTable& storage = {});

// The mode of a run that is resumed: the user's choice and, for each field that it leaves out, the value of the run
// before, where that has a meaning in the chosen mode.
ModeChoice Resumed(const ModeChoice& asked, const v1::Consistency& before);

}  // namespace samovar
