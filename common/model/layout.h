// Checks and look-ups of a ParameterLayout, for servers and clients before they trust one.
#pragma once

#include <cstdint>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// Floats in a blob: the product of its dimensions, 1 if it has none.
uint64_t BlobElements(const v1::ParameterBlob& blob);

// INVALID_ARGUMENT if blobs are not contiguous from 0, a dimension is not positive, a product overflows, the total
// disagrees, a multiplier is not finite, a moving average's fraction is not in [0, 1], a filler cannot be computed, two
// parameters of a layer have the same number, or a shared one is a blob that is not there; UNIMPLEMENTED if a blob asks
// for an update rule that is not known. The message names the blob.
absl::Status CheckLayout(const v1::ParameterLayout& layout);

// Calls visit(blob, begin, end) for each blob that meets the floats [begin, end) of the flat vector, in order, with the
// part of that range that lies in the blob (flat positions). REQUIRES: CheckLayout(layout).ok()
void VisitRange(const v1::ParameterLayout& layout, uint64_t begin, uint64_t end,
                absl::FunctionRef<void(const v1::ParameterBlob& blob, uint64_t begin, uint64_t end)> visit);

// Initial weights of the floats [begin, begin + out.size()) of the flat vector.
absl::Status FillLayoutRange(const v1::ParameterLayout& layout, uint64_t seed, uint64_t begin, std::span<float> out);

// A number that differs, for all practical purposes, between layouts with other layers, shapes or rules. Fillers and
// multipliers do not enter: a snapshot may be continued with other ones.
uint64_t LayoutFingerprint(const v1::ParameterLayout& layout);

}  // namespace samovar
