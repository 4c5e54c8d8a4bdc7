// Layers on records that a test writes down.
#pragma once

#include <string>
#include <vector>

#include "worker/nn/net.h"

namespace samovar {

// Phase TEST, records [channels, height, width].
NetOptions Image(int channels, int height, int width);

// Outputs of a net of DataText whose inputs are `data` and `labels`, a record each; without the output "label".
std::vector<float> Run(const std::string& layers, const NetOptions& options, const std::vector<float>& data,
                       const std::vector<float>& weights, const std::vector<float>& labels = {0});

}  // namespace samovar
