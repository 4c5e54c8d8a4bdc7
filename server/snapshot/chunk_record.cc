#include "server/snapshot/chunk_record.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/storage/checksum.h"
#include "samovar/v1/snapshot.pb.h"

namespace samovar {
namespace {

static_assert(std::endian::native == std::endian::little, "records hold little-endian floats as they are in memory");

// The checksum of all fields of the record. `values_only`: of the weights and the state, as earlier versions had it; a
// value of one kind never fits a record of the other.
uint32_t Crc(const v1::ChunkRecord& record, bool values_only = false) {
  uint32_t crc = 0;
  const auto add = [&crc](const std::string& bytes) { crc = ExtendCrc32(crc, bytes); };
  add(record.weights());
  for (const std::string& state : record.state()) add(state);
  if (values_only) return crc;
  add(absl::StrCat(record.chunk(), " ", record.version(), " ", record.ledger().SerializeAsString()));
  if (record.skipped_size() > 0) add(absl::StrCat(" skipped ", absl::StrJoin(record.skipped(), " ")));
  if (record.has_lateness()) add(absl::StrCat(" lateness ", record.lateness().SerializeAsString()));
  return crc;
}

std::vector<float> ToFloats(const std::string& bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
  return floats;
}

v1::LatenessRecord ToRecord(const Lateness& lateness) {
  v1::LatenessRecord record;
  record.set_staleness(lateness.usual.value);
  record.set_pushes(lateness.usual.pushes);
  for (const NormLevel& norm : lateness.levels) {
    record.add_averages(norm.average);
    record.add_levels(norm.level);
  }
  record.set_steps(lateness.steps.data(), lateness.steps.size() * sizeof(float));
  return record;
}

absl::StatusOr<Lateness> FromRecord(const v1::LatenessRecord& record) {
  const auto sound = [](double value) { return std::isfinite(value) && value >= 0; };
  if (!sound(record.staleness()) || record.averages_size() != record.levels_size())
    return absl::DataLossError("it does not say how late its pushes are");
  Lateness lateness;
  lateness.usual = {record.staleness(), record.pushes()};
  for (int i = 0; i < record.levels_size(); ++i) {
    if (!sound(record.averages(i)) || !sound(record.levels(i)))
      return absl::DataLossError("its gradients' norms are no numbers of 0 or more");
    lateness.levels.push_back({record.averages(i), record.levels(i)});
  }
  lateness.steps = ToFloats(record.steps());
  return lateness;
}

}  // namespace

std::string MakeChunkRecord(const ChunkImage& image) {
  v1::ChunkRecord record;
  record.set_chunk(image.chunk);
  *record.mutable_ledger() = image.ledger.ToProto();
  record.set_version(image.version);
  record.set_weights(image.weights.data(), image.weights.size() * sizeof(float));
  for (const std::vector<float>& state : image.state) record.add_state(state.data(), state.size() * sizeof(float));
  record.mutable_skipped()->Add(image.skipped.begin(), image.skipped.end());
  if (image.lateness.usual.value > 0) *record.mutable_lateness() = ToRecord(image.lateness);
  record.set_crc32(Crc(record));
  return record.SerializeAsString();
}

absl::StatusOr<ChunkImage> ParseChunkRecord(absl::string_view bytes, uint32_t chunk) {
  v1::ChunkRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return absl::DataLossError("it cannot be parsed");
  if (record.chunk() != chunk) return absl::DataLossError(absl::StrCat("it says that it is chunk ", record.chunk()));
  if (Crc(record) != record.crc32() && Crc(record, /*values_only=*/true) != record.crc32())
    return absl::DataLossError("its checksum is wrong");
  auto ledger = Ledger::FromProto(record.ledger());
  if (!ledger.ok()) return absl::DataLossError(ledger.status().message());
  if (ledger->size() != record.version()) {
    return absl::DataLossError(
        absl::StrCat("its ledger holds ", ledger->size(), " iterations, its version is ", record.version()));
  }
  ChunkImage image;
  image.chunk = chunk;
  image.weights = ToFloats(record.weights());
  for (const std::string& state : record.state()) {
    if (state.size() != record.weights().size())
      return absl::DataLossError("its solver state has another length than its weights");
    image.state.push_back(ToFloats(state));
  }
  image.ledger = *std::move(ledger);
  image.version = record.version();
  image.skipped.insert(record.skipped().begin(), record.skipped().end());
  if (record.has_lateness()) {
    auto lateness = FromRecord(record.lateness());
    if (!lateness.ok()) return lateness.status();
    if (!lateness->steps.empty() && lateness->steps.size() != image.weights.size())
      return absl::DataLossError("its steps have another length than its weights");
    image.lateness = *std::move(lateness);
  }
  return image;
}

}  // namespace samovar
