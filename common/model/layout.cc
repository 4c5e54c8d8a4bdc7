#include "common/model/layout.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/filler.h"

namespace samovar {
namespace {

// Far above any net that fits in memory, far below overflow.
constexpr uint64_t kMaxElements = uint64_t{1} << 40;

absl::Status CheckBlob(const v1::ParameterBlob& blob, uint64_t expected_offset) {
  const std::string name = absl::StrCat("parameter layout: layer \"", blob.layer(), "\", blob ", blob.index());
  uint64_t elements = 1;
  for (int64_t dimension : blob.shape()) {
    if (dimension <= 0) return absl::InvalidArgumentError(absl::StrCat(name, " has dimension ", dimension));
    if (static_cast<uint64_t>(dimension) > kMaxElements / elements) {
      return absl::InvalidArgumentError(absl::StrCat(name, " is too large"));
    }
    elements *= static_cast<uint64_t>(dimension);
  }
  if (blob.offset() != expected_offset) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " begins at ", blob.offset(), " instead of ", expected_offset));
  }
  if (!std::isfinite(blob.lr_mult()) || !std::isfinite(blob.decay_mult())) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": lr_mult and decay_mult must be finite"));
  }
  if (blob.rule() != v1::UPDATE_RULE_SOLVER && blob.rule() != v1::UPDATE_RULE_MOVING_AVERAGE) {
    return absl::UnimplementedError(absl::StrCat(name, " asks for update rule ", static_cast<int>(blob.rule()),
                                                 ", which is not known here; use servers and workers of one version"));
  }
  // Also false for NaN.
  const bool fraction_ok = blob.moving_average_fraction() >= 0 && blob.moving_average_fraction() <= 1;
  if (blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE && !fraction_ok) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": moving_average_fraction must be 0 to 1, not ", blob.moving_average_fraction()));
  }
  return Annotate(CheckFiller(blob), name);
}

// Each layer's parameters have numbers of their own, and a shared one is a blob that there is.
absl::Status CheckShared(const v1::ParameterLayout& layout) {
  std::set<std::pair<std::string, uint32_t>> taken;
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    if (!taken.emplace(blob.layer(), blob.index()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("parameter layout: layer \"", blob.layer(), "\" has two blobs ", blob.index()));
    }
  }
  for (const v1::SharedParameter& shared : layout.shared()) {
    const std::string name =
        absl::StrCat("parameter layout: layer \"", shared.layer(), "\", shared blob ", shared.index());
    if (shared.blob() >= static_cast<uint32_t>(layout.blobs_size())) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " is blob ", shared.blob(), " of the layout, which has ", layout.blobs_size()));
    }
    if (!taken.emplace(shared.layer(), shared.index()).second) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": the layer has another blob of that number"));
    }
  }
  return absl::OkStatus();
}

// FNV-1a over bytes: stable across builds, which absl::Hash is not.
class Fingerprint {
 public:
  void Add(const std::string& text) {
    AddNumber(text.size());
    for (unsigned char byte : text) hash_ = (hash_ ^ byte) * 0x100000001B3;
  }
  void AddNumber(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) hash_ = (hash_ ^ ((number >> shift) & 0xFF)) * 0x100000001B3;
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xCBF29CE484222325;
};

}  // namespace

uint64_t BlobElements(const v1::ParameterBlob& blob) {
  uint64_t elements = 1;
  for (int64_t dimension : blob.shape()) elements *= static_cast<uint64_t>(dimension);
  return elements;
}

absl::Status CheckLayout(const v1::ParameterLayout& layout) {
  uint64_t offset = 0;
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    SAMOVAR_RETURN_IF_ERROR(CheckBlob(blob, offset));
    offset += BlobElements(blob);
    if (offset > kMaxElements) return absl::InvalidArgumentError("parameter layout: too large");
  }
  if (offset == 0) return absl::InvalidArgumentError("parameter layout: the net has no learnable parameters");
  if (offset != layout.elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat("parameter layout: the blobs hold ", offset, " floats, but elements is ", layout.elements()));
  }
  return CheckShared(layout);
}

void VisitRange(const v1::ParameterLayout& layout, uint64_t begin, uint64_t end,
                absl::FunctionRef<void(const v1::ParameterBlob&, uint64_t, uint64_t)> visit) {
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    const uint64_t blob_end = blob.offset() + BlobElements(blob);
    const uint64_t from = std::max(begin, blob.offset());
    const uint64_t to = std::min(end, blob_end);
    if (from < to) visit(blob, from, to);
  }
}

absl::Status FillLayoutRange(const v1::ParameterLayout& layout, uint64_t seed, uint64_t begin, std::span<float> out) {
  absl::Status status;
  VisitRange(layout, begin, begin + out.size(), [&](const v1::ParameterBlob& blob, uint64_t from, uint64_t to) {
    if (!status.ok()) return;
    status = FillRange(blob, seed, from - blob.offset(), out.subspan(from - begin, to - from));
  });
  return status;
}

uint64_t LayoutFingerprint(const v1::ParameterLayout& layout) {
  Fingerprint fingerprint;
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    fingerprint.Add(blob.layer());
    fingerprint.AddNumber(blob.index());
    fingerprint.AddNumber(static_cast<uint64_t>(blob.rule()));
    for (int64_t dimension : blob.shape()) fingerprint.AddNumber(static_cast<uint64_t>(dimension));
  }
  return fingerprint.value();
}

}  // namespace samovar
