#include "server/jobs/job_spec.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/data/iteration_schedule.h"
#include "common/model/consistency.h"
#include "common/model/job_name.h"
#include "common/model/layout.h"
#include "common/model/learning_rate.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

constexpr uint32_t kMaxWeight = 1000;
// Bounds of a job's numbers and texts: far above useful values, and far below values that overflow or fill
// a memory.
constexpr uint64_t kMaxRecords = uint64_t{1} << 40;
constexpr uint32_t kMaxBatch = 1 << 24;
constexpr uint32_t kMaxPartitions = 1 << 24;
constexpr int kMaxPasses = 1 << 20;
constexpr int kMaxAverageLoss = 1'000'000;
constexpr uint32_t kMaxServers = 4096;
constexpr int kMaxTestNets = 64;
constexpr int kMaxOutputs = 100'000;
constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxPathBytes = 4096;
constexpr uint64_t kMaxFurther = 63;
constexpr uint64_t kMaxNetFiles = 10'000;
constexpr size_t kDigestDigits = 64;

absl::Status CheckAtMost(const std::string& name, uint64_t value, uint64_t most) {
  if (value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be at most ", most, ", not ", value));
}

absl::Status CheckText(const std::string& name, const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes && Printable(text, max_bytes) == text) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be at most ", max_bytes,
                                                 " bytes of UTF-8 without control characters, not \"",
                                                 Printable(text, kMaxPeerNameBytes), "\""));
}

bool IsDigest(const std::string& text) {
  return text.size() == kDigestDigits && std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

absl::Status CheckOutputs(const v1::NetOutputs& outputs, const std::string& name) {
  SAMOVAR_RETURN_IF_ERROR(
      CheckAtMost(absl::StrCat(name, ": their number"), static_cast<uint64_t>(outputs.outputs_size()), kMaxOutputs));
  for (const v1::OutputSpec& output : outputs.outputs()) {
    SAMOVAR_RETURN_IF_ERROR(CheckText(absl::StrCat(name, ": a name"), output.name(), kMaxNameBytes));
  }
  return absl::OkStatus();
}

absl::Status CheckLayerData(const v1::DatasetSpec& data, const std::string& name) {
  // A net without a data layer has no records.
  if (data.uri().empty() != (data.records() == 0) || data.batch_size() == 0 || data.partitions() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": batch_size and partitions must be set, and both of uri and records or neither"));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckText(absl::StrCat(name, ": uri"), data.uri(), kMaxPathBytes));
  if (!data.digest().empty() && !IsDigest(data.digest()))
    return absl::InvalidArgumentError(absl::StrCat(name, ": digest must be 64 hexadecimal digits"));
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost(absl::StrCat(name, ": records"), data.records(), kMaxRecords));
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost(absl::StrCat(name, ": batch_size"), data.batch_size(), kMaxBatch));
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost(absl::StrCat(name, ": partitions"), data.partitions(), kMaxPartitions));
  if (data.partitions() > std::max<uint64_t>(1, data.records()) || data.block() > IterationSchedule::kMaxBlock) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": partitions must be at most records, ", data.records(),
                                                   ", and block at most ", IterationSchedule::kMaxBlock));
  }
  return absl::OkStatus();
}

// Checks the data of all data layers of a net.
absl::Status CheckDataset(const v1::DatasetSpec& data, const std::string& name) {
  SAMOVAR_RETURN_IF_ERROR(CheckLayerData(data, name));
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost(absl::StrCat(name, ": the number of further data layers"),
                                      static_cast<uint64_t>(data.further_size()), kMaxFurther));
  for (int i = 0; i < data.further_size(); ++i) {
    const v1::DatasetSpec& further = data.further(i);
    const std::string its_name = absl::StrCat(name, ": further ", i);
    SAMOVAR_RETURN_IF_ERROR(CheckLayerData(further, its_name));
    const bool alike = further.partitions() == data.partitions() && further.block() == data.block() &&
                       further.in_order() == data.in_order();
    const bool together =
        data.in_order() || (further.records() == data.records() && further.batch_size() == data.batch_size());
    if (data.records() > 0 && further.records() > 0 && further.further().empty() && alike && together) continue;
    return absl::InvalidArgumentError(absl::StrCat(its_name,
                                                   ": it must have records, the first one's partitions, block and "
                                                   "in_order, the same records and batch_size unless in_order, and no "
                                                   "further ones"));
  }
  return absl::OkStatus();
}

absl::Status CheckExports(const v1::JobSpec& spec) {
  const v1::InitialModel& initial = spec.initial_model();
  for (const std::string& path : {spec.export_snapshots(), initial.exported_snapshot()}) {
    if (path.empty() || IsSamePlaceEverywhere(path)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("export_snapshots and initial_model.exported_snapshot must be absolute paths, not \"",
                     Printable(path, kMaxPeerNameBytes), "\""));
  }
  if (!std::all_of(initial.digests().begin(), initial.digests().end(), IsDigest))
    return absl::InvalidArgumentError("initial_model.digests must be 64 hexadecimal digits each");
  if (initial.exported_snapshot().empty()) return absl::OkStatus();
  if (spec.chunk_elements() != 0 && initial.weights().empty() && initial.solver_state().empty())
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      "initial_model.exported_snapshot goes with chunk_elements, which is the snapshot's, and without other files");
}

absl::Status CheckFilesOfNets(const v1::JobSpec& spec) {
  SAMOVAR_RETURN_IF_ERROR(
      CheckAtMost("the number of net_files", static_cast<uint64_t>(spec.net_files_size()), kMaxNetFiles));
  for (const v1::NetFile& file : spec.net_files()) {
    SAMOVAR_RETURN_IF_ERROR(CheckText("net_files: path", file.path(), kMaxPathBytes));
    if (!IsDigest(file.digest())) return absl::InvalidArgumentError("net_files: digest must be 64 hexadecimal digits");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckJobSpec(const v1::JobSpec& spec) {
  SAMOVAR_RETURN_IF_ERROR(CheckJobName(spec.job_id()));
  if (spec.solver().max_iter() < 0) return absl::InvalidArgumentError("solver.max_iter must be at least 0");
  if (spec.solver().iter_size() <= 0) return absl::InvalidArgumentError("solver.iter_size must be at least 1");
  SAMOVAR_RETURN_IF_ERROR(
      CheckAtMost("solver.iter_size", static_cast<uint64_t>(spec.solver().iter_size()), kMaxPasses));
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost(
      "solver.average_loss", static_cast<uint64_t>(std::max(0, spec.solver().average_loss())), kMaxAverageLoss));
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost("servers", spec.servers(), kMaxServers));
  SAMOVAR_RETURN_IF_ERROR(
      CheckAtMost("the number of test nets", static_cast<uint64_t>(spec.test_nets_size()), kMaxTestNets));
  if (spec.servers() == 0) return absl::InvalidArgumentError("servers must be at least 1");
  if (spec.weight() > kMaxWeight)
    return absl::InvalidArgumentError(absl::StrCat("weight must be at most ", kMaxWeight));
  SAMOVAR_RETURN_IF_ERROR(CheckLearningRate(spec.solver()));
  SAMOVAR_RETURN_IF_ERROR(CheckLayout(spec.layout()));
  for (const v1::ParameterBlob& blob : spec.layout().blobs()) {
    SAMOVAR_RETURN_IF_ERROR(CheckText("the name of a layer", blob.layer(), kMaxNameBytes));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckOutputs(spec.train_outputs(), "train_outputs"));
  SAMOVAR_RETURN_IF_ERROR(CheckDataset(spec.train_data(), "train_data"));
  SAMOVAR_RETURN_IF_ERROR(CheckConsistency(spec));
  SAMOVAR_RETURN_IF_ERROR(CheckExports(spec));
  SAMOVAR_RETURN_IF_ERROR(CheckFilesOfNets(spec));
  SAMOVAR_RETURN_IF_ERROR(CheckText("submitter", spec.submitter(), kMaxNameBytes));
  if (spec.test_nets_size() != spec.test_data_size() || spec.test_nets_size() != spec.test_outputs_size()) {
    return absl::InvalidArgumentError("test_nets, test_data and test_outputs must have one entry each a test net");
  }
  for (int i = 0; i < spec.test_data_size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(CheckDataset(spec.test_data(i), absl::StrCat("test_data ", i)));
    SAMOVAR_RETURN_IF_ERROR(CheckOutputs(spec.test_outputs(i), absl::StrCat("test_outputs ", i)));
  }
  return absl::OkStatus();
}

}  // namespace samovar
