#include "worker/train/sent_spans.h"

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

// FNV-1a over the floats' bits. Not for anybody's malice.
uint64_t DigestOf(std::span<const float> floats) {
  uint64_t digest = 0xcbf29ce484222325;
  for (const float value : floats) digest = (digest ^ std::bit_cast<uint32_t>(value)) * 0x100000001b3;
  return digest;
}

}  // namespace

void SentSpans::Add(uint64_t begin, std::span<const float> floats) {
  if (enabled_) sent_.push_back({begin, floats, DigestOf(floats)});
}

absl::Status SentSpans::Check() {
  for (const Sent& sent : std::exchange(sent_, {})) {
    if (DigestOf(sent.floats) == sent.digest) continue;
    return absl::InternalError(absl::StrCat("gradients ", sent.begin, " to ", sent.begin + sent.floats.size() - 1,
                                            " were written while they were being sent"));
  }
  return absl::OkStatus();
}

}  // namespace samovar
